"""What the folders of a source, or its dataset.json, say about splits and classes."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError
from genlab.data.dataset import Source, Split
from genlab.data.layout import lay_out, strays
from genlab.data.native import native_sizes

Open = Callable[..., Source]
Paint = Callable[..., Path]


def tree(**counts: int) -> list[str]:
    """So many pictures in each folder; __ separates folders."""
    return [f"{folder.replace('__', '/')}/{at}.png" for folder, count in counts.items() for at in range(count)]


@pytest.mark.parametrize("train", ["train", "training", "Train", "TRAINING"])
@pytest.mark.parametrize(
    "other",
    ["test", "testing", "dev", "val", "valid", "validation", "eval", "evaluation", "held-out", "held_out", "Test"],
)
def test_names_of_splits_are_no_classes(train: str, other: str) -> None:
    paths = [f"{train}/{at % 2}/{at}.png" for at in range(6)] + [f"{other}/{at}/x.png" for at in range(2)]
    layout = lay_out(paths)
    assert layout.held_out.tolist() == 6 * [False] + 2 * [True]
    assert layout.classes == ("0", "1")
    assert layout.rule == f"the source's own: {train.lower()}/ for training, {other.lower()}/ held out"


def test_splits_within_each_class_are_splits() -> None:
    layout = lay_out(tree(cat__training=3, cat__testing=1, dog__training=2, dog__testing=2))
    assert layout.held_out.tolist() == [False] * 3 + [True] + [False] * 2 + [True] * 2
    assert layout.classes == ("cat", "dog")


def test_a_folder_around_the_classes_of_each_split_is_no_class() -> None:
    layout = lay_out(tree(train__images__a=2, train__images__b=2, val__images__a=1, val__images__b=1))
    assert layout.classes == ("a", "b")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (tree(train=3, test=2, extra=2), "test/, train/ are splits, but the source also has extra/ beside"),
        (
            [*tree(train=3, dev=2), *(f"{at}.png" for at in range(5))],
            "but the source also has 5 pictures beside",
        ),
        (tree(test=2, val=2), "are splits, but there is none for training"),
        (tree(train=2, training=2), "are splits, but there is none for held-out"),
        (tree(a__train=2, a__test=2, b=2), "are splits, but the source also has 2 pictures beside"),
    ],
)
def test_splits_that_are_not_certain_are_refused(paths: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        lay_out(paths)


def test_a_class_may_be_called_as_a_split() -> None:
    assert lay_out(tree(bus=2, train=2)).classes == ("bus", "train")


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["a.png", *tree(cat=3, dog=3)], [0]),
        (["a.png", *tree(outer__cat=3, outer__dog=3)], [0]),
        ([*tree(train__cat=30, train__dog=3, test__cat=1), "a.png", "train/b.png"], [34, 35]),
        ([*tree(train=9, test=9), "a.png"], [18]),
        ([*tree(cat=3, dog=3), "a.png", "b.png"], []),
        ([*tree(photos=9), "a.png"], []),
        (["a.png", "b.png"], []),
    ],
)
def test_a_few_pictures_beside_the_folders_are_strays(paths: list[str], wanted: list[int]) -> None:
    assert strays(paths) == wanted


def test_many_pictures_beside_the_folders_leave_no_classes_and_the_note_says_so() -> None:
    layout = lay_out([*tree(cat=3, dog=3), "a.png", "b.png"])
    assert layout.classes == ()
    assert layout.classing == "none: 2 pictures lie beside the folders cat/, dog/"


def test_one_stray_picture_is_rejected_with_its_reason(opened: Open, album: Path, paint: Paint) -> None:
    paint(album / "cover.png", 99)
    source = opened(album)
    assert source.train.spec.class_names == ("cat", "dog")
    assert len(source.train) + len(source.held_out) == 20
    assert [(item.path, item.reason[:16]) for item in source.rejected] == [("cover.png", "lies beside the ")]
    assert source.notes["classes"] == "2 folders; 1 picture beside them rejected"
    assert sum((native_sizes(str(album)) or {}).values()) == 20


@pytest.fixture
def shards(album: Path, tmp_path: Path) -> Callable[[object], Path]:
    """A zip as StyleGAN's dataset_tool writes it: two shards, and dataset.json."""

    def packed(labels: object) -> Path:
        pictures = sorted(album.rglob("*.png"))
        path = tmp_path / "style.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for at, picture in enumerate(pictures):
                archive.write(picture, f"{at // 10:05}/img{at:08}.png")
            archive.writestr("dataset.json", json.dumps({"labels": labels}))
        return path

    return packed


def styled(label: Callable[[int], object]) -> list[list[object]]:
    return [[f"{at // 10:05}/img{at:08}.png", label(at)] for at in range(20)]


def counts(source: Source) -> list[int]:
    sides: tuple[Split, ...] = (source.train, source.held_out)
    return sum(np.bincount(side.labels, minlength=side.spec.classes) for side in sides).tolist()


def test_the_labels_of_a_dataset_json_are_the_classes(opened: Open, shards: Callable[[object], Path]) -> None:
    source = opened(shards(styled(lambda at: at % 3)))
    assert source.train.spec.class_names == ("0", "1", "2")
    assert counts(source) == [7, 7, 6]
    assert source.notes["classes"] == "the labels in dataset.json"


def test_shards_are_no_classes(opened: Open, shards: Callable[[object], Path]) -> None:
    source = opened(shards(None))
    assert source.train.spec.class_names == ()
    assert source.notes["classes"] == "none, as dataset.json says"


def test_a_picture_without_a_label_counts_as_damaged(opened: Open, shards: Callable[[object], Path]) -> None:
    path = shards(styled(lambda at: at % 3)[:-1])
    with pytest.raises(DataError, match=r"1 of 20 files.*no label in dataset\.json"):
        opened(path)
    assert counts(opened(path, max_rejected=0.1)) == [7, 6, 6]


@pytest.mark.parametrize("labels", [7, [7], [["a"]], [["a", 1, 2]], styled(lambda at: [0.5, at]), {"a": 1}])
def test_a_damaged_dataset_json_is_named(opened: Open, shards: Callable[[object], Path], labels: object) -> None:
    with pytest.raises(DataError, match=r"dataset.json"):
        opened(shards(labels), max_rejected=1)
