import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.data.dataset import joined
from genlab.data.fit import Whole
from genlab.data.native import native_sizes, not_square
from genlab.data.source import open_source


def save(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "pictures" / "a.png", 30, 20)
    save(tmp_path / "pictures" / "b.png", 40, 64)
    (tmp_path / "pictures" / "c.png").write_bytes(b"no picture")
    return tmp_path / "pictures"


def test_of_a_folder_and_of_a_zip(folder: Path, tmp_path: Path) -> None:
    sizes = {(20, 30): 1, (64, 40): 1}
    assert native_sizes(str(folder)) == sizes
    assert not_square(sizes) == 2
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert native_sizes(str(tmp_path / "pictures.zip")) == sizes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 28, 24), (28, 24)),
        ((5, 28, 24, 3), (28, 24)),
        ((5, 3, 28, 24), (28, 24)),
        ((5, 1, 16, 16), (16, 16)),
    ],
)
def test_of_arrays(shape: tuple[int, ...], expected: tuple[int, int], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros(shape, np.uint8))
    assert native_sizes(str(tmp_path / "x.npz")) == {expected: 5}
    assert not_square({expected: 5}) == (0 if expected == (16, 16) else 5)


def test_of_names_and_of_what_holds_no_picture(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.npz").write_bytes(b"no arrays")
    for source in ("digits", "ring8", str(tmp_path / "empty"), str(tmp_path / "bad.npz"), str(tmp_path / "none")):
        assert native_sizes(source) is None


def test_a_source_says_how_many_pictures_are_not_square(folder: Path) -> None:
    save(folder / "d.png", 32, 32)
    cropped = open_source(str(folder), size=16, max_rejected=1).notes
    assert cropped["not square"] == "2 of 3 pictures: their longer side is cropped"
    whole = open_source(str(folder), size=Whole(16, 16), max_rejected=1).notes
    assert whole["not square"] == "2 of 3 pictures: kept whole"
    assert whole["resize"] == "whole pictures to 16x16 px (bicubic, antialiased)"


def test_two_splits_as_one() -> None:
    source = open_source("digits", size=16)
    both = joined(source.train, source.held_out)
    train = len(source.train)
    assert len(both) == train + len(source.held_out)
    rows = np.array([train + 3, 0, train, train - 1])
    found = both.batch(rows)
    for row, image, label in zip(rows, found.x, found.condition["label"], strict=True):
        split, at = (source.train, row) if row < train else (source.held_out, row - train)
        expected = split.batch(np.array([at]))
        assert (image == expected.x[0]).all()
        assert label == expected.condition["label"][0]
    assert both.fingerprint != source.train.fingerprint
    assert both.spec.class_names == source.train.spec.class_names
