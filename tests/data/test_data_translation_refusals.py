"""Two sides in arrays, by name, and of examples that have sources; and data that cannot be translated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.data.check import checked
from genlab.data.dataset import Array, Source, make_dataset
from genlab.data.sides import find_sides
from genlab.data.translation import open_translation
from genlab.data.wrappers import Degraded, Paired, Unpaired

Open = Callable[..., Source]
SIZE = 8


@pytest.fixture(name="read")
def _read(cache: Path) -> Open:
    """`open_translation` with a cache of its own."""

    def call(data: object, reads: str = "pairs", **options: object) -> Source:
        given = {"size": SIZE, "cache": cache, "progress": False} | options
        return checked(open_translation(data, reads, **given))  # type: ignore[arg-type]

    return call


def fill(root: Path, *folders: str, count: int = 4) -> Path:
    """Write pictures of equal names into folders."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for at in range(count):
            Image.new("RGB", (SIZE, SIZE), (at, at, at)).save(root / folder / f"{at}.png")
    return root


def images(count: int, start: int, channels: int = 1) -> Array:
    """Return images (N, H, W, C) of the levels start, start + 1, …, with a black and a white corner."""
    levels = np.arange(start, start + count, dtype=np.uint8)
    values = np.broadcast_to(levels[:, None, None, None], (count, SIZE, SIZE, channels)).copy()
    values[:, -1, 0], values[:, -1, -1] = 0, 255
    return values


def levels(source: Source) -> list[tuple[int, int]]:
    """Return the levels of source and target of all examples."""
    found = []
    for split in (source.train, source.held_out):
        batch = split.batch(np.arange(len(split)))
        both = (batch.condition["source"], batch.x)
        found += list(
            zip(*(((part[:, 0, 0, 0] + 1) * 127.5).round().int().tolist() for part in both), strict=True)
        )
    return found


def fails(read: Open, data: object, *words: str, kind: type[GenlabError] = DataError, **options: object) -> None:
    """Check that all words are in the message of the error."""
    with pytest.raises(kind) as error:
        read(data, **options)
    for word in words:
        assert word in str(error.value), (word, str(error.value))


def test_arrays_are_paired_by_position(read: Open, tmp_path: Path) -> None:
    path = tmp_path / "both.npz"
    np.savez(path, A=images(20, 0), B=images(20, 100), other=np.zeros(3))
    source = read(str(path))
    assert sorted(levels(source)) == [(at, 100 + at) for at in range(20)]
    assert source.notes["pairs"] == "20 pairs by position"
    assert source.notes["not used"] == "the arrays other"
    assert (source.domains, source.total) == (("A", "B"), 40)
    assert isinstance(read(str(path), "sides").train, Unpaired)
    assert read(str(path), "sides", pairs="unaligned").notes["pairs"] == "unpaired"


def test_arrays_can_have_their_own_held_out_part(read: Open, tmp_path: Path) -> None:
    path = tmp_path / "both.npz"
    parts = {"trainA": images(6, 0), "trainB": images(6, 100), "testA": images(2, 50), "testB": images(2, 150)}
    np.savez(path, **parts)
    source = read(str(path))
    assert levels(source) == [(at, 100 + at) for at in (*range(6), 50, 51)]


def test_arrays_of_different_lengths_are_no_pairs(read: Open, tmp_path: Path) -> None:
    path = tmp_path / "both.npz"
    np.savez(path, A=images(20, 0), B=images(30, 100))
    fails(read, str(path), "cannot be paired", "by position", "cyclegan")
    source = read(str(path), "sides")
    assert isinstance(source.held_out, Unpaired)
    assert len(source.train) + len(source.held_out) == 30


def test_two_files_of_arrays_are_targets_and_sources(read: Open, tmp_path: Path) -> None:
    np.savez(tmp_path / "targets.npz", images=images(12, 100))
    np.save(tmp_path / "sources.npy", images(12, 0))
    source = read(str(tmp_path / "targets.npz"), source=str(tmp_path / "sources.npy"))
    assert sorted(levels(source)) == [(at, 100 + at) for at in range(12)]


def test_labels_of_a_side_are_left_out(read: Open, tmp_path: Path) -> None:
    for name, start in (("targets", 100), ("sources", 0)):
        np.savez(tmp_path / f"{name}.npz", images=images(12, start), labels=np.arange(12) % 2)
    source = read(str(tmp_path / "targets.npz"), source=str(tmp_path / "sources.npz"))
    assert source.train.spec.conditions.keys() == {"source"}
    assert sum("not used" in note for note in source.notes.values()) == 2


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": images(4, 0)}, ("no arrays of two sides", "it has images", "trainA")),
        ({"A": images(4, 0)}, ("has A without the other side",)),
        ({"trainA": images(4, 0), "trainB": images(4, 0), "testA": images(4, 0)}, ("has testA without",)),
        ({"A": images(4, 0), "a": images(4, 0), "B": images(4, 0)}, ("A and a are the same side",)),
        ({"testA": images(4, 0), "testB": images(4, 0)}, ("one part is for training",)),
        ({"A": images(4, 0), "B": images(4, 0, channels=3)}, ("(1, 8, 8) and (3, 8, 8)", "--channels 1 or 3")),
    ],
)
def test_arrays_that_are_no_two_sides(
    read: Open, tmp_path: Path, arrays: dict[str, Array], words: tuple[str, ...]
) -> None:
    path = tmp_path / "both.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    fails(read, str(path), *words)
    if "--channels 1 or 3" in words:
        assert read(str(path), channels=1).train.spec.target.shape == (1, SIZE, SIZE)


def by_hand(*, degraded: bool = False) -> Source:
    def part(name: str, count: int) -> Paired | Degraded:
        target = make_dataset(name, images(count, 100).transpose(0, 3, 1, 2), None, ())
        if degraded:
            return Degraded(target, lambda x, _: -x, "inverse", 0)
        return Paired(target, make_dataset(name, images(count, 0).transpose(0, 3, 1, 2), None, ()))

    return Source("by hand", part("train", 8), part("held-out", 3), 11)


@pytest.mark.parametrize("degraded", [False, True])
def test_examples_that_have_sources_are_taken_as_they_are(read: Open, degraded: bool) -> None:
    data = by_hand(degraded=degraded)
    other = {level: 255 - level if degraded else level - 100 for level in range(100, 110)}
    source = read(data, size=None)
    assert source.train is data.train
    assert source.domains == ("source", "target")
    turned = read(data, size=None, direction="b-to-a")
    assert levels(turned) == [(two, one) for one, two in levels(source)]
    assert turned.domains == ("target", "source")
    apart = read(data, "sides", size=None)
    assert not apart.train.spec.aligned
    found = levels(apart)
    assert sorted(one for one, _ in found[:8]) == sorted(other[level] for level in range(100, 108))
    assert any(one != other[two] for one, two in found[:8])
    assert all(one == other[two] for one, two in found[8:])
    whole = read(data, "sides", size=None, pairs="unaligned")
    assert not whole.held_out.spec.aligned
    assert read(data, "sides", size=None, pairs="aligned").train is data.train


def test_points_have_sources_too(read: Open) -> None:
    assert isinstance(read("rotated-ring8", size=None).train, Paired)
    apart = read("rotated-ring8", "sides", size=None)
    assert apart.notes["pairs"].startswith("unpaired in training")
    assert isinstance(apart.train, Unpaired)
    assert isinstance(apart.held_out, Paired)
    examples = apart.train.source.values[np.arange(3)]
    assert np.array_equal(examples, apart.train.source.batch(np.arange(3)).x.numpy())


@pytest.mark.parametrize(
    ("reads", "options", "word"),
    [
        ("examples", {"source": "digits"}, "--source digits"),
        ("examples", {"pairs": "aligned"}, "--pairs aligned"),
        ("examples", {"side_by_side": True}, "--side-by-side"),
        ("examples", {"direction": "b-to-a"}, "--direction b-to-a"),
        ("domains", {"direction": "b-to-a"}, "--direction b-to-a"),
    ],
)
def test_no_option_without_effect(read: Open, reads: str, options: dict[str, object], word: str) -> None:
    fails(read, "digits", word, "Leave it out", kind=UsageError, reads=reads, **options)


def test_what_does_not_go_together_is_refused(read: Open, root: Path) -> None:
    fill(root, "A", "B")
    fails(read, str(root), "--side-by-side", kind=UsageError, side_by_side=True, source=str(root / "B"))
    fails(read, str(root), "takes no range", kind=UsageError, range=(0, 1))
    fails(read, by_hand(), "leave out --side-by-side", kind=UsageError, size=None, side_by_side=True)
    styles = {"reads": "styles", "pairs": "aligned", "size": None}
    fails(read, by_hand(), "--pairs aligned has no meaning", kind=UsageError, **styles)
    fails(read, str(root / "A"), "are the same", kind=UsageError, source=str(root / "B" / ".." / "A"))
    fails(read, str(root), "are two sides already", source=str(fill(root / "more", "x") / "x"))
    fails(read, "rotated-ring8", "a source for each example", size=None, source="ring8")


def test_names_without_sides_say_what_to_give(read: Open) -> None:
    fails(read, "ring8", "no two sides", "--source", "--data paired-digits", kind=UsageError, size=None)


def test_splits_of_two_sides_are_no_domains(read: Open, root: Path) -> None:
    fill(root, "trainA", "trainB", "testA", "testB")
    fails(read, str(root), "testA, testB, trainA, trainB", "train/A", reads="domains")


def test_a_missing_place_is_no_source(read: Open, root: Path) -> None:
    fill(root, "A", "B")
    fails(read, str(root / "C"), "no source", kind=UsageError)
    fails(read, str(root / "A"), "no source", kind=UsageError, source=str(root / "C"))


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("A",), ("has A/, but its other side B is missing or holds no pictures",)),
        (("trainA", "testA", "testB"), ("has trainA/, but its other side trainB is missing",)),
        (("train/A", "train/B", "test/A"), ("has test/A/, but its other side test/B is missing",)),
        (("testA", "testB"), ("has only testA/, testB/", "nothing to train on")),
        (("A", "B", "trainA", "trainB"), ("name the folders A and B that are for training trainA",)),
        (("A", "a", "B"), ("A/ and a/ are the same side",)),
        (("A", "B", "C"), ("4 files beside the folders A/ and B/, in C/", "Move them")),
        (("cats", "dogs", "birds"), ("birds/, cats/, dogs/", "--side-by-side", "--source")),
        (("flat",), ("no sub-folders with pictures", "--side-by-side")),
        (("train", "test"), ("no sub-folders with pictures",)),
        (("train", "more"), ("more/, train/",)),
    ],
)
def test_folders_that_are_no_two_sides(
    read: Open, root: Path, folders: tuple[str, ...], words: tuple[str, ...]
) -> None:
    fails(read, str(fill(root, *folders)), *words)


def test_an_empty_side_is_named(read: Open, root: Path) -> None:
    fill(root, "A")
    (root / "B").mkdir()
    fails(read, str(root), "other side B is missing or holds no pictures")
    (root / "B").rmdir()
    (root / "B").write_bytes(b"a file")
    fails(read, str(root), "B is a file, not a folder")


def test_an_empty_folder_of_two_is_named(read: Open, root: Path) -> None:
    fill(root, "sketches")
    (root / "photos").mkdir()
    for sides in (("sketches", "photos"), ("photos", "sketches")):
        target, source = (str(root / side) for side in sides)
        fails(read, target, f'"{root / "photos"}" holds no pictures', source=source)


def test_an_unreadable_side_is_named(read: Open, root: Path) -> None:
    fill(root, "A")
    (root / "B").mkdir()
    (root / "B" / "1.png").write_bytes(b"no picture")
    fails(read, str(root), "B/ holds no readable picture", "B/1.png: not an image", max_rejected=1)


@pytest.mark.parametrize("reads", ["pairs", "sides", "styles"])
def test_one_picture_on_a_side_is_too_few(read: Open, root: Path, reads: str) -> None:
    fill(root, "A", count=6)
    fill(root, "B", count=1)
    fails(read, str(root), "B/", "1 pair" if reads == "pairs" else "only 1 picture in B/", reads=reads)


def test_damaged_files_count_on_both_sides(read: Open, root: Path) -> None:
    fill(root, "A", "B")
    (root / "B" / "3.png").write_bytes(b"no picture")
    fails(read, str(root), "1 of 8 files (12.5%)", "B/3.png")
    assert len(read(str(root), max_rejected=0.2).rejected) == 2


def test_a_few_pictures_beside_the_sides_are_rejected(read: Open, root: Path) -> None:
    fill(root, "A", "B", count=6)
    Image.new("RGB", (SIZE, SIZE)).save(root / "overview.png")
    source = read(str(root))
    assert [(its.path, its.reason) for its in source.rejected] == [
        ("overview.png", "lies beside the folders of the two sides")
    ]
    assert len(source.train) + len(source.held_out) == 6


def test_a_damaged_zip_is_no_zip(read: Open, tmp_path: Path) -> None:
    (tmp_path / "pairs.zip").write_bytes(b"damaged")
    fails(read, str(tmp_path / "pairs.zip"), "not an intact zip")


def test_an_array_takes_no_side_by_side(read: Open, tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", A=images(4, 0), B=images(4, 0))
    fails(read, str(tmp_path / "both.npz"), "--side-by-side splits pictures", kind=UsageError, side_by_side=True)


def test_many_files_are_placed_quickly() -> None:
    paths = [f"train{side}/{at // 1000}/{at}.png" for side in "AB" for at in range(10_000)]
    assert len(find_sides("many", paths).places) == 20_000
