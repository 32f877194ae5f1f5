"""Data that are given in Python: each kind becomes a source with exactly its values, or is refused with advice."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from genlab.core.batch import Batch
from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Images, Points
from genlab.data import rows
from genlab.data.dataset import Array, Source, joined, make_dataset
from genlab.data.objects import as_source
from genlab.data.source import open_source
from genlab.data.wrappers import Degraded, Paired, Unpaired
from genlab.registration import name_of

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
GREY = BYTES[:, 0]
REALS = RANDOM.uniform(-1, 1, (40, 1, 32, 32)).astype(np.float32)
POINTS = RANDOM.uniform(-1, 1, (40, 2)).astype(np.float32)
LABELS = np.arange(40) % 3
PICTURES = [Image.fromarray(image.transpose(1, 2, 0)) for image in BYTES]


def in_order(source: Source, count: int = 40) -> Array:
    """The examples in [-1, 1], in the order of the rows that were given."""
    parts = [side.batch(np.arange(len(side))).x.numpy() for side in (source.train, source.held_out)]
    out = held_out_rows(count)
    every = np.empty((count, *parts[0].shape[1:]), np.float32)
    every[~out], every[out] = parts
    return every


def held_out_rows(count: int) -> Array:
    from genlab.data.split import held_out

    return held_out([str(row) for row in range(count)])


def labels_of(source: Source) -> list[int]:
    its = [side.labels for side in (source.train, source.held_out)]
    out = held_out_rows(40)
    every = np.empty(40, np.int64)
    every[~out], every[out] = its
    return every.tolist()


def floats(images: Array) -> Array:
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


@dataclass
class Listed:
    """A data set as torch's: items by position."""

    items: Any
    classes: Any = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> Any:
        return self.items[at]


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


Feature = type("Image", (), {})


class Hugging(Listed):
    """A data set as Hugging Face's: items are dictionaries, `features` has the type of each column."""

    def __init__(self, features: Mapping[str, object], **columns: Any) -> None:
        keys = list(columns)
        super().__init__([dict(zip(keys, row, strict=True)) for row in zip(*columns.values(), strict=True)])
        self.features, self.column_names = features, keys


# arrays


@pytest.mark.parametrize(
    ("images", "layout", "range_"),
    [
        (BYTES, "(N, C, H, W)", "bytes 0..255"),
        (np.moveaxis(BYTES, 1, 3), "(N, H, W, C)", "bytes"),
        (torch.from_numpy(BYTES), "(N, C, H, W)", "bytes"),
        (BYTES / 255, "(N, C, H, W)", "floats in [0, 1]"),
        (torch.from_numpy(BYTES).float().div(255).requires_grad_(), "(N, C, H, W)", "floats in [0, 1]"),
        ((torch.from_numpy(BYTES) / 255 - 0.5) / 0.5, "(N, C, H, W)", "floats in [-1, 1]"),
        ((BYTES / 127.5 - 1).astype(">f4"), "(N, C, H, W)", "floats in [-1, 1]"),
    ],
)
def test_images_that_are_bytes_in_any_form_stay_bytes(images: Any, layout: str, range_: str) -> None:
    source = as_source(images)
    assert source.train.spec.target == Images(3, 32, 32)
    assert (in_order(source) == floats(BYTES)).all()
    assert layout in source.notes["recognised"]
    assert range_ in source.notes["recognised"]
    assert (source.total, source.notes["stored"], source.notes["native size"]) == (40, "bytes", "32x32")
    assert source.train.fingerprint == as_source(BYTES).train.fingerprint
    assert source.name == "array (40, 3, 32, 32)" or layout == "(N, H, W, C)"


def test_grey_images_need_no_channel_axis() -> None:
    assert (in_order(as_source(GREY)) == floats(GREY[:, None])).all()
    assert as_source(GREY).train.spec.target == Images(1, 32, 32)


def test_other_floats_keep_their_values() -> None:
    source = as_source(REALS)
    assert source.train.spec.target == Images(1, 32, 32, levels=None)
    assert (in_order(source) == REALS).all()
    assert "float32" in source.notes["stored"]
    scaled = as_source(torch.from_numpy(REALS) * 3 + 1, range=(-2, 4))
    assert np.allclose(in_order(scaled), REALS, atol=1e-6)
    assert np.abs(in_order(scaled)).max() <= 1
    assert "-2 to 4, as given" in scaled.notes["recognised"]


def test_bfloat16_is_read() -> None:
    low = torch.from_numpy(REALS).bfloat16()
    assert (in_order(as_source(low)) == low.float().numpy()).all()


@pytest.mark.parametrize("data", [BYTES, REALS])
def test_arrays_are_not_copied(data: Array) -> None:
    before = data.copy()
    for given in (data, torch.from_numpy(data)):
        values: Any = as_source(given).train.values
        assert np.shares_memory(values.values, data)
    assert (data == before).all()


def test_range_and_layout_say_what_cannot_be_known() -> None:
    ambiguous = BYTES[:, :, :, :3]
    assert as_source(ambiguous, layout="NCHW").notes["native size"] == "3x32"
    assert as_source(ambiguous, layout="NHWC").notes["native size"] == "32x3"
    assert (in_order(as_source(GREY // 128, range=(0, 1))) == np.where(GREY < 128, -1, 1)[:, None]).all()
    assert (in_order(as_source(GREY > 127, range=(0, 1))) == np.where(GREY < 128, -1, 1)[:, None]).all()
    assert (in_order(as_source(BYTES.astype(int), range=(0, 255))) == floats(BYTES)).all()
    tenth = np.linspace(0, 1, 40 * 64, dtype=np.float32).reshape(40, 8, 8) * np.float32(0.1)
    scaled = in_order(as_source(tenth, range=(0, 0.1), size=8))
    assert (scaled.min(), scaled.max()) == (-1, 1)


def test_images_are_resized_as_those_of_a_file(tmp_path: Path) -> None:
    wide = BYTES[:, :, :20, :28]
    np.savez(tmp_path / "set.npz", images=np.moveaxis(wide, 1, 3))
    read, given = open_source(str(tmp_path / "set.npz")), as_source(wide)
    assert given.train.fingerprint == read.train.fingerprint
    assert given.held_out.fingerprint == read.held_out.fingerprint
    assert "crops the longer side" in given.notes["resize"]
    assert given.notes["native size"] == "28x20"
    assert as_source(wide, size=16, channels=1).train.spec.target == Images(1, 16, 16)
    small = as_source(REALS, size=16)
    assert small.train.spec.target == Images(1, 16, 16)
    assert "rounded" in small.notes["stored"]


@pytest.mark.parametrize("pictures", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "side"),
    [(16, 16, 16), (64, 64, 64), (128, 128, 128), (28, 28, 32), (48, 48, 64), (16, 12, 32), (8, 8, 32)],
)
def test_squares_that_all_networks_take_keep_their_size(
    height: int, width: int, side: int, pictures: bool
) -> None:
    images = np.arange(4 * height * width).astype(np.uint8).reshape(4, height, width)
    source = as_source([Image.fromarray(image) for image in images] if pictures else images)
    assert source.train.spec.target == Images(1, side, side)
    assert ("resize" in source.notes) == ((height, width) != (side, side))
    assert as_source(images, size=24).train.spec.target == Images(1, 24, 24)


def test_pictures_of_several_sizes_have_the_usual_one() -> None:
    pictures = [Image.new("L", (side, side)) for side in (16, 16, 20)]
    assert as_source(pictures).train.spec.target == Images(1, 32, 32)


def test_a_source_shows_no_pixels() -> None:
    source = as_source((BYTES, LABELS), held_out=(BYTES[:5], LABELS[:5]))
    assert repr(source).startswith("<Source array (40, 3, 32, 32): 40 for training, 5 held out, ")
    for shown in (source, source.train, as_source(BYTES).train.values, joined(source.train, source.held_out)):
        assert len(repr(shown)) < 160


def test_points_are_kept_or_scaled() -> None:
    source = as_source(POINTS)
    assert source.train.spec == DataSpec(Points(2))
    assert (in_order(source) == POINTS).all()
    assert "kept" in source.notes["scale"]
    scaled = as_source(POINTS.astype(float) * 4, range=(-4, 4))
    assert (in_order(scaled) == POINTS).all()
    assert "-4 to 4" in scaled.notes["scale"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (BYTES.astype(np.float32), {}, r"float32 with values from 0 to 255.*as_source\(x, range=\(0, 255\)\)"),
        (BYTES.astype(np.int64), {}, r"int64 .*range=\(0, 255\)"),
        (BYTES.astype(np.uint16) * 257, {}, r"range=\(0, 65535\)"),
        (BYTES // 16, {}, r"uint8 with values from 0 to 15.*range=\(0, 15\)"),
        (GREY > 127, {}, r"bool .*range=\(0, 1\)"),
        (BYTES / 255 - 0.5, {}, r"range=\(-0.5, 0.5\)"),
        (BYTES / 255 * 0.3, {}, r"range=\(0, 1\)"),
        (REALS * 3, {}, "not certain which values are black and white. They look standardised"),
        (BYTES / 255 * 1.0002 - 0.0001, {}, r"slightly outside \[0, 1\].*x.clip\(0, 1\)"),
        (BYTES / 127 - 1, {}, r"slightly outside \[-1, 1\].*x.clip\(-1, 1\)"),
        (BYTES * 1.01 - 1, {}, r"slightly outside \[0, 255\].*x.clip\(0, 255\)"),
        (BYTES / 64 - 1.9, {}, r"look standardised. Undo that, x \* std \+ mean"),
        (BYTES, {"held_out": BYTES / 255}, "uint8 .* float64 .* on different scales"),
        (BYTES / 255, {"held_out": BYTES / 127.5 - 1}, "on different scales"),
        (BYTES / 255, {"held_out": BYTES * 1.0}, "on different scales"),
        (np.moveaxis(BYTES, 1, 3) * 1.0, {}, r"shape \(40, 32, 32, 3\)"),
        (BYTES, {"range": (0, 200)}, r"from 0 to 255, outside range=\(0, 200\)"),
        (REALS, {"range": (-1, 0.5)}, "outside range"),
        (BYTES, {"range": (255, 0)}, "the lower one first"),
        (BYTES, {"range": (0, 1, 2)}, "two numbers"),
        (
            np.where(np.arange(40 * 64).reshape(40, 1, 8, 8) < 70, 0, np.nan),
            {},
            r"2,490 .*first at \(1, 0, 0, 6\)",
        ),
        (np.full((4, 2), np.inf), {}, r"8 values .*first at \(0, 0\)"),
        (BYTES[:, :, :, :3], {}, 'two ways.*layout="NHWC"'),
        (BYTES, {"layout": "NHWC"}, r"not \(N, H, W, C\) with C 1"),
        (BYTES, {"layout": "CHWN"}, 'no layout "CHWN"'),
        (BYTES[0], {}, "a single picture"),
        (np.moveaxis(BYTES[0], 0, 2), {}, "a single picture"),
        (np.zeros((4, 4, 8, 8), np.uint8), {}, "neither images nor points"),
        (np.zeros(4), {}, "neither images nor points"),
        (BYTES[:0], {}, "is empty"),
        (BYTES[:1], {}, "at least 2"),
        (np.array(["a", "b"]), {}, "does not hold numbers"),
        (np.ma.masked_array(POINTS), {}, "masked"),
        (POINTS * 4, {}, r"points lie in \[-1, 1\].*range=\(-4, 4\)"),
        (POINTS[:, :1], {}, "points of one number"),
        (POINTS, {"size": 32}, "takes no size"),
        (BYTES, {"size": 4}, "no size 4"),
        (BYTES, {"held_out": GREY}, "differ in shape"),
        (BYTES, {"held_out": ["a.png"]}, "held_out is a list of files, but the data are an array"),
    ],
)
def test_arrays_that_may_be_misread_are_refused(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(GenlabError, match=message):
        as_source(data, **options)


def test_the_split_covers_all_rows_once_and_is_that_of_files(tmp_path: Path) -> None:
    source = as_source(np.arange(40, dtype=np.uint8)[:, None, None].repeat(32, 1).repeat(32, 2), labels=range(40))
    its = [side.labels for side in (source.train, source.held_out)]
    assert sorted(np.concatenate(its)) == list(range(40))
    assert its[1].tolist() == np.flatnonzero(held_out_rows(40)).tolist()
    assert "10%" in source.notes["split"]


# labels


class Series:
    """Labels as a column of pandas: anything with `to_numpy`."""

    def to_numpy(self) -> Array:
        return LABELS


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        torch.from_numpy(LABELS),
        LABELS.tolist(),
        LABELS.astype(np.uint8),
        list(LABELS),
        Series(),
        LABELS.astype(np.float32),
        torch.from_numpy(LABELS).float(),
        LABELS.astype(float).tolist(),
        LABELS[:, None],
    ],
)
def test_labels_are_given_beside_the_images_or_with_them(labels: Any) -> None:
    for source in (
        as_source(BYTES, labels=labels),
        as_source((BYTES, labels)),
        as_source({"images": BYTES, "labels": labels}),
    ):
        assert labels_of(source) == LABELS.tolist()
        assert source.train.spec.conditions == {"label": Classes(("0", "1", "2"))}


def test_classes_are_the_distinct_labels_or_named() -> None:
    assert as_source(BYTES, labels=LABELS * 5 - 5).train.spec.class_names == ("-5", "0", "5")
    text = np.array(["pear", "apple", "fig"], dtype=object)[LABELS]
    assert as_source(BYTES, labels=text).train.spec.class_names == ("apple", "fig", "pear")
    named = as_source(BYTES, labels=LABELS, classes=["pear", "apple", "fig", "plum"])
    assert named.train.spec.class_names == ("pear", "apple", "fig", "plum")
    assert labels_of(named) == LABELS.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": LABELS[:30]}, r"int64 \(30,\); give 40"),
        ({"labels": LABELS / 2}, "float64"),
        ({"labels": LABELS[:, None].repeat(2, 1)}, r"\(40, 2\)"),
        ({"labels": np.eye(3)[LABELS]}, r"one-hot, so give labels.argmax\(1\)"),
        ({"labels": [b"a"] * 40}, r"not bytes: \[label.decode\(\)"),
        ({"labels": 5}, r"\(\)"),
        ({"labels": [[1], [1, 2]]}, "one label for each"),
        ({"labels": LABELS, "classes": ["a", "b"]}, "from 0 to 2, but there are 2 names"),
        ({"labels": LABELS - 1, "classes": ["a", "b"]}, "from -1 to 1"),
        ({"labels": LABELS.astype(str), "classes": ["a", "b", "c"]}, "leave classes out"),
        ({"labels": LABELS, "classes": ["a", "a", "c"]}, "occurs once"),
        ({"classes": ["a", "b"]}, "there are none"),
        ({"labels": LABELS, "held_out": BYTES}, "only the data have labels"),
        ({"held_out": (BYTES, LABELS)}, "only the held_out have labels"),
        ({"labels": LABELS, "held_out": (BYTES, LABELS.astype(str))}, "holds whole numbers, but .* text"),
    ],
)
def test_labels_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GenlabError, match=message):
        as_source(BYTES, **options)


@pytest.mark.parametrize("labels", [b"abc", "abc"])
def test_one_text_is_no_labels(labels: Any) -> None:
    with pytest.raises(DataError, match=f"a label for each image, not one {type(labels).__name__}"):
        as_source((BYTES, labels))


def test_images_may_come_without_labels_in_a_pair() -> None:
    assert as_source((BYTES, None)).train.fingerprint == as_source(BYTES).train.fingerprint


def test_items_may_have_labels_that_are_whole_floats() -> None:
    assert labels_of(as_source(list(zip(GREY, LABELS.astype(float), strict=True)))) == LABELS.tolist()


def test_a_held_out_part_of_its_own() -> None:
    source = as_source((BYTES[:30], LABELS[:30]), held_out=(BYTES[30:], LABELS[30:] + 1))
    assert (len(source.train), len(source.held_out), source.total) == (30, 10, 40)
    assert (source.held_out.values[np.arange(10)] == BYTES[30:]).all()
    assert source.train.spec.class_names == ("0", "1", "2", "3")
    assert source.notes["split"] == "as given: held_out"
    for other in (
        as_source({"images": BYTES[:30], "labels": LABELS[:30]}, held_out=(BYTES[30:], LABELS[30:] + 1)),
        as_source({"train": (BYTES[:30], LABELS[:30]), "test": (BYTES[30:], LABELS[30:] + 1)}),
        as_source(((BYTES[:30], LABELS[:30]), (BYTES[30:], LABELS[30:] + 1))),
        as_source([(BYTES[:30], LABELS[:30, None]), (BYTES[30:], LABELS[30:, None] + 1)]),
        as_source(
            {
                "images": BYTES[:30],
                "labels": LABELS[:30],
                "test_images": BYTES[30:],
                "test_labels": LABELS[30:] + 1,
            }
        ),
    ):
        assert other.train.fingerprint == source.train.fingerprint
        assert other.held_out.fingerprint == source.held_out.fingerprint


# fingerprints


def test_a_fingerprint_changes_with_any_value_label_or_order() -> None:
    def fingerprints(data: Array, labels: Array) -> tuple[str, str]:
        source = as_source(data, labels=labels)
        return source.train.fingerprint, source.held_out.fingerprint

    one = fingerprints(BYTES, LABELS)
    assert fingerprints(BYTES.copy(), LABELS.copy()) == one
    changed, other = BYTES.copy(), LABELS.copy()
    changed[5, 0, 0, 0] ^= 1
    other[5] += 1
    assert len({one, fingerprints(changed, LABELS), fingerprints(BYTES, other)}) == 3
    assert fingerprints(BYTES[::-1], LABELS) != one


# torch


def test_a_data_set_of_tensors_is_its_tensors() -> None:
    source = as_source(TensorDataset(torch.from_numpy(BYTES), torch.from_numpy(LABELS)))
    assert source.train.fingerprint == as_source((BYTES, LABELS)).train.fingerprint
    assert source.name == "TensorDataset of 40 items"
    assert (in_order(as_source(TensorDataset(torch.from_numpy(POINTS)))) == POINTS).all()
    assert (in_order(as_source(TensorDataset(torch.from_numpy(REALS)))) == REALS).all()


@pytest.mark.parametrize(
    "items",
    [
        [(picture, int(label)) for picture, label in zip(PICTURES, LABELS, strict=True)],
        [(np.asarray(picture), np.int64(label), "more") for picture, label in zip(PICTURES, LABELS, strict=True)],
        [(torch.from_numpy(image), torch.tensor(label)) for image, label in zip(BYTES, LABELS, strict=True)],
        [{"image": picture, "label": label} for picture, label in zip(PICTURES, LABELS, strict=True)],
    ],
)
def test_items_are_pictures_arrays_or_tensors_with_labels(items: list[Any]) -> None:
    for data in (items, Listed(items, ["a", "b", "c"]), Subset(Listed(items, ["a", "b", "c"]), range(40))):  # type: ignore[arg-type,var-annotated]
        source = as_source(data)
        assert source.train.fingerprint == as_source((BYTES, LABELS)).train.fingerprint
        assert source.train.spec.class_names == (("0", "1", "2") if data is items else ("a", "b", "c"))
    assert ("ignored" in source.notes) == (len(items[0]) == 3)


def test_pictures_of_several_sizes_are_fitted_as_those_of_a_folder(
    root: Path, paint: Callable[..., Path], opened: Callable[..., Source]
) -> None:
    sizes = [(30, 25), (90, 80), (33, 70), (40, 40)]
    files = [paint(root / f"{at}.png", at, "L" if at < 2 else "RGB", size) for at, size in enumerate(sizes)]
    pictures = [Image.open(file) for file in files]
    for options in ({}, {"size": 16}, {"size": 20, "channels": 1}):
        folder, source = opened(root, **options), as_source(pictures, **options)
        assert source.train.spec == folder.train.spec
        for side in (as_source(pictures[:2], held_out=pictures[2:], **options),):
            wanted = {image.tobytes() for part in (folder.train, folder.held_out) for image in every(part)}
            assert {image.tobytes() for part in (side.train, side.held_out) for image in every(part)} == wanted
        assert source.notes["native size"] == "shorter side 25 to 80, median 36.5"
    assert as_source(pictures[:2]).train.spec.target == Images(1, 64, 64)


def every(part: Any) -> Array:
    return part.values[np.arange(len(part))]


def test_large_data_sets_go_to_a_file_that_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = [as_source(PICTURES, cache=tmp_path), as_source(list(BYTES.transpose(0, 2, 3, 1)), cache=tmp_path)]
    monkeypatch.setattr(rows, "LIMIT", 1000)
    in_file = [as_source(PICTURES, cache=tmp_path), as_source(list(BYTES.transpose(0, 2, 3, 1)), cache=tmp_path)]
    for one, other in zip(in_memory, in_file, strict=True):
        assert one.train.fingerprint == other.train.fingerprint
        assert (in_order(other) == floats(BYTES)).all()
    assert list(tmp_path.iterdir()) == []
    mixed = as_source([PICTURES[0].convert("L"), *PICTURES[1:]], cache=tmp_path)
    assert mixed.train.spec.target == Images(3, 32, 32)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="GENLAB_CACHE"):
        as_source(PICTURES, cache=tmp_path / "file")


class Flaky:
    def __len__(self) -> int:
        return 40

    def __getitem__(self, at: int) -> Any:
        if at == 7:
            raise ValueError("bad file")
        return BYTES[at].transpose(1, 2, 0)


class Augmented(Flaky):
    def __getitem__(self, at: int) -> Any:
        return torch.from_numpy(REALS[at]) + torch.rand(1) * (at > 0)


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Flaky(), "item 7 of Flaky of 40 items cannot be read: ValueError: bad file"),
        (Augmented(), "item [0-9]+ of Augmented .* random augmentation off.*--flip.*--diff-augment"),
        (Stream(), "stream.*itertools.islice"),
        (iter([1]), "stream"),
        (DataLoader(TensorDataset(torch.zeros(4))), "give loader.dataset"),
        (Listed([]), "is empty"),
        ([], "list is empty"),
        ([1, 2, 3], "item 0 of list of 3 items holds int"),
        ([*PICTURES, 3], "item 40 .* holds int"),
        ([GREY[0], GREY[1], GREY[2, :8]], r"item 2 .* uint8 \(8, 32\), but the first item is uint8 \(32, 32\)"),
        ([GREY[0], GREY[1], PICTURES[0]], "item 2 .* PIL image, but the first item is an array"),
        ([PICTURES[0], PICTURES[1], GREY[0]], "item 2 .* array, but the first item is a PIL image"),
        ([PICTURES[0].convert("F")] * 3, "item 0 .* float pixels"),
        ([(GREY[0], 1), (GREY[1], None)] * 2, "item 1 .* has no label"),
        ([(GREY[0], 1), (GREY[1], "a")] * 2, "text and others whole numbers"),
        ([(GREY[0], 0.5)] * 3, "label of item 0 .* is float"),
        ([(GREY[0], {"box": 1})] * 3, "label of item 0 .* is dict"),
        ([{"text": "a"}] * 3, "no column of images. It has: text"),
        ([{"a": GREY[0], "b": GREY[1]}] * 3, r"several columns of images: a, b.*select_columns\(\['a'\]\)"),
        (Listed([(GREY[0], 5)] * 3, ["a", "b"]), "from 5 to 5, but there are 2 names"),
    ],
)
def test_data_sets_that_cannot_be_used_are_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_source(data)


def test_an_error_of_an_item_is_chained() -> None:
    with pytest.raises(DataError) as caught:
        as_source(Flaky())
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("options", [{"range": (0, 255)}, {"layout": "NCHW"}])
def test_pil_images_take_no_range_or_layout(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no range or layout"):
        as_source(PICTURES, **options)


def test_labels_are_not_given_twice() -> None:
    labelled = list(zip(PICTURES, LABELS.tolist(), strict=True))
    assert labels_of(as_source(PICTURES, labels=LABELS)) == LABELS.tolist()
    for data in (labelled, (BYTES, LABELS), {"images": BYTES, "labels": LABELS}):
        with pytest.raises(UsageError, match="twice"):
            as_source(data, labels=LABELS)


# Hugging Face


FEATURES = {"image": Feature(), "label": ClassLabel(["pear", "apple", "fig"]), "id": object()}


def hugging(first: int, last: int) -> Hugging:
    rows = slice(first, last)
    return Hugging(FEATURES, image=PICTURES[rows], label=LABELS[rows].tolist(), id=list(range(first, last)))


def test_a_hugging_face_data_set_has_columns() -> None:
    source = as_source(hugging(0, 40))
    assert source.train.fingerprint == as_source((BYTES, LABELS)).train.fingerprint
    assert source.train.spec.class_names == ("pear", "apple", "fig")
    assert source.notes["columns"] == "image and label, of image, label, id"
    splits = as_source({"train": hugging(0, 30), "test": hugging(30, 40)})
    assert splits.held_out.fingerprint == make_dataset("", BYTES[30:], LABELS[30:], ()).fingerprint


def test_columns_are_found_without_types() -> None:
    data = Hugging({}, pixels=list(GREY), labels=LABELS.tolist(), id=list(range(40)))
    assert labels_of(as_source(data)) == LABELS.tolist()
    assert as_source(Hugging({}, pixels=list(GREY), id=list(range(40)))).train.labels is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": BYTES, "test": BYTES, "validation": BYTES}, r'data\["train"\], held_out=data\["test"\]'),
        ({"train": BYTES, "unsupervised": BYTES}, "train, unsupervised. Choose"),
        ({"pictures": BYTES}, 'neither "images" nor "train". It has: pictures'),
        ({"images": BYTES, "weights": BYTES}, "weights too"),
        ({"images": BYTES, "labels": LABELS, "test_images": BYTES}, "has labels but not test_labels"),
        (Hugging({"a": Feature(), "b": Feature()}, a=PICTURES, b=PICTURES), "several columns of images: a, b"),
        (
            Hugging({k: ClassLabel(["x"]) for k in ("fine", "coarse")}, i=PICTURES, fine=LABELS, coarse=LABELS),
            r"several columns of labels: fine, coarse.*select_columns\(\['i', 'fine'\]\)",
        ),
    ],
)
def test_what_is_not_unique_is_not_chosen(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_source(data)


# files, paths and names


def test_a_list_of_files_is_opened_as_their_folder(album: Path, opened: Callable[..., Source]) -> None:
    files = sorted(album.rglob("*.png"))
    folder = opened(album)
    source = as_source(files)
    for side, its in ((source.train, folder.train), (source.held_out, folder.held_out)):
        assert (every(side) == every(its)).all()
    assert (source.train.labels, source.name, source.total) == (None, "list of 20 files", 20)
    labelled = as_source([str(file) for file in files], labels=[file.parent.name for file in files])
    assert labelled.train.fingerprint == folder.train.fingerprint
    assert labelled.train.spec == folder.train.spec
    assert as_source(files[::-1]).train.fingerprint != source.train.fingerprint
    given = as_source((files[:15], ["a"] * 15), held_out=(files[15:], ["b"] * 5))
    assert (len(given.train), len(given.held_out), given.train.spec.class_names) == (15, 5, ("a", "b"))


def test_files_that_cannot_be_read_are_counted(album: Path) -> None:
    files: list[Path] = sorted(album.rglob("*.png"))
    files[3].write_text("no picture")
    files = [album / "missing.png", album, *files]
    with pytest.raises(DataError, match=r"3 of 22 files .*missing.png: cannot be read: No such file"):
        as_source(files)
    source = as_source(files, labels=np.arange(22), max_rejected=0.2)
    assert len(source.train) + len(source.held_out) + len(source.rejected) == source.total == 22
    reasons = sorted(rejected.reason for rejected in source.rejected)
    assert reasons == [
        "a folder: give its path alone",
        "cannot be read: No such file or directory",
        "not an image",
    ]
    assert source.train.labels is not None
    assert source.held_out.labels is not None
    kept = sorted([*source.train.labels, *source.held_out.labels])
    assert kept == [at for at in range(22) if at not in (0, 1, 5)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": (0, 1)}, "takes no range"),
        ({"labels": [1]}, "give 20 integers"),
        ({"held_out": PICTURES}, "held_out is a data set"),
    ],
)
def test_options_that_do_not_fit_files_are_refused(album: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(GenlabError, match=message):
        as_source(sorted(album.rglob("*.png")), **options)


def test_a_list_of_files_holds_only_paths() -> None:
    with pytest.raises(DataError, match="item 0 is str and item 1 is Image"):
        as_source(["a.png", PICTURES[0]])


def test_paths_and_names_are_opened_as_on_the_command_line(album: Path) -> None:
    assert as_source(album).train.fingerprint == as_source(str(album)).train.fingerprint
    assert as_source("ring8").train.spec.target == Points(2)
    with pytest.raises(UsageError, match="takes no labels"):
        as_source("digits", labels=LABELS)


# sources made by hand


def source_of(train: Any, held_out: Any = None) -> Source:
    return Source("mine", train, train if held_out is None else held_out, 2 * len(train))


LABELLED = make_dataset("mine", BYTES, LABELS, ("a", "b", "c"))


def test_sources_made_by_hand_are_accepted() -> None:
    other = make_dataset("other", BYTES[::-1], None, ())
    for train in (
        LABELLED,
        make_dataset("points", POINTS * 3, None, ()),
        Paired(LABELLED, other),
        Unpaired(LABELLED, other, seed=0),
        Degraded(LABELLED, lambda x, draws: x + 0.1 * draws.normal(*x.shape[1:]), "noise", seed=0),
    ):
        source = source_of(train)
        assert as_source(source) is source
    with pytest.raises(UsageError, match="a Source takes no size"):
        as_source(source_of(LABELLED), size=32)


@dataclass(frozen=True)
class Changed:
    """A split whose batches are changed."""

    change: Callable[[Batch], Any]
    spec: DataSpec = LABELLED.spec
    fingerprint: Any = "1"
    name: str = "changed"
    values: Any = field(default_factory=lambda: BYTES)
    labels: Any = field(default_factory=lambda: LABELS)

    def __len__(self) -> int:
        return len(BYTES)

    def batch(self, index: Any, epoch: Any = None) -> Any:
        return self.change(LABELLED.batch(index, epoch))


def same(batch: Batch) -> Batch:
    return batch


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (make_dataset("mine", BYTES[:0], None, ()), "held_out is empty"),
        (make_dataset("mine", BYTES, None, ()), "held_out.spec is"),
        ([1], "held_out is a list without name"),
        (Changed(lambda b: b.x), r"held_out.batch\(…\) is a Tensor"),
        (Changed(lambda b: replace(b, x=b.x.double())), r"x is torch.float64 \(4, 3, 32, 32\); the spec says"),
        (Changed(lambda b: replace(b, x=b.x[..., 1:])), r"x is torch.float32 \(4, 3, 32, 31\)"),
        (Changed(lambda b: replace(b, x=b.x * 3)), r"x has values from -3 to 3"),
        (Changed(lambda b: replace(b, x=b.x / 0)), "NaN or infinite"),
        (Changed(lambda b: replace(b, x=torch.rand_like(b.x))), "not the same when the same index is read again"),
        (Changed(lambda b: replace(b, index=b.index + 1)), "index is not the index"),
        (Changed(lambda b: replace(b, condition={})), "condition has none, but the spec label"),
        (
            Changed(lambda b: replace(b, condition={"label": b.condition["label"] + 9})),
            'condition."label".*outside',
        ),
        (Changed(lambda b: replace(b, condition={"label": b.condition["label"] * 0})), "labels differ"),
        (Changed(lambda b: b.x[99]), "held_out.batch.* cannot be read: IndexError"),
        (Changed(same, labels=None), "labels and the condition"),
        (Changed(same, labels=LABELS.astype(np.int32)), "labels is not an array of int64"),
        (Changed(same, labels=LABELS + 1), "labels has values from 1 to 3, for 3 classes"),
        (Changed(same, values=BYTES[:3]), "values holds 3 examples"),
        (Changed(same, fingerprint=None), "fingerprint is not a text"),
        (Changed(same, spec=None), "spec is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_a_source_that_breaks_a_promise_is_refused_by_name(held_out: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_source(source_of(LABELLED, held_out))


# anything else


@pytest.mark.parametrize("data", [5, None, b"abc", {1, 2}, object(), PICTURES[0], torch.nn.Linear(1, 1)])
def test_anything_else_is_refused_with_all_choices(data: Any) -> None:
    with pytest.raises(GenlabError, match=type(data).__name__):
        as_source(data)


def test_nothing_is_printed_and_errors_hold_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    as_source(PICTURES, labels=LABELS)
    for secret in (
        [123456789],
        {123456789: [123456789]},
        np.full((4, 4, 4, 4), 123456789),
        [(GREY[0], [123456789])],
    ):
        with pytest.raises(GenlabError) as caught:
            as_source({"images": secret} if isinstance(secret, list) else secret)
        assert "[123456789" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_the_source_has_the_name_that_is_given() -> None:
    assert as_source(BYTES, name="mine").train.name == "mine/train"
    assert as_source(PICTURES, name="mine").name == "mine"


def test_two_parts_without_labels_are_images_to_train_on_and_to_hold_out() -> None:
    source = as_source(((BYTES, None), (BYTES[:20], None)))
    assert (len(source.train), len(source.held_out), source.train.labels) == (40, 20, None)
    assert np.array_equal(source.train.values[np.arange(40)], BYTES)


def test_a_data_set_that_is_trained_on_is_read_once() -> None:
    class Counted:
        reads = 0

        def __len__(self) -> int:
            return 100

        def __getitem__(self, index: int) -> Array:
            Counted.reads += 1
            return np.full((16, 16), 2 * index, np.uint8)

    data = Counted()
    as_source(name_of("data", data))
    once = Counted.reads
    assert once < 2 * 100  # some items are read again, to see whether they change
    as_source(name_of("data", data), size=32)  # another size has to be read anew
    assert Counted.reads > 2 * 100
