import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import UsageError
from genlab.core.modality import Images
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, originals

GREY = Images(1, 8, 8)


def folder_of(root: Path) -> Path:
    for at, name in enumerate(["cat/1.png", "cat/2.png", "dog/1.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (10, 8), 80 * at).save(root / name)
    (root / "dog" / "notes.txt").write_text("no picture")
    return root


def test_folders_are_classes_and_names_are_paths(tmp_path: Path) -> None:
    with originals(folder_of(tmp_path), GREY) as given:
        found = list(given)
    pictures = [each for each in found if isinstance(each, Original)]
    assert [(each.name, each.label) for each in pictures] == [
        ("cat/1.png", "cat"),
        ("cat/2.png", "cat"),
        ("dog/1.png", "dog"),
    ]
    assert {each.size for each in pictures} == {(8, 10)}
    assert [each.path for each in found if isinstance(each, Rejected)] == ["dog/notes.txt"]
    assert given.count == 4


def test_a_zip_is_read_as_the_folder_in_it(tmp_path: Path) -> None:
    folder, path = folder_of(tmp_path / "in"), tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, str(file.relative_to(folder)))
    with originals(path, GREY) as given:
        assert [(each.name, each.label) for each in given if isinstance(each, Original)] == [
            ("cat/1.png", "cat"),
            ("cat/2.png", "cat"),
            ("dog/1.png", "dog"),
        ]


def test_examples_that_are_done_are_left_out(tmp_path: Path) -> None:
    rejected: list[Rejected] = []
    with originals(folder_of(tmp_path), GREY) as given:
        chunks = list(given.chunks(rejected, done={"cat/1.png", "dog/1.png"}))
    assert [each.name for chunk in chunks for each in chunk] == ["cat/2.png"]
    assert len(rejected) == 1


def test_a_name_of_data_gives_its_held_out_part_with_classes() -> None:
    with originals("digits", Images(1, 32, 32)) as given:
        first = next(iter(given))
    assert isinstance(first, Original)
    assert (first.name, first.file, first.pixels.shape) == ("0", "000000.png", (1, 32, 32))
    assert first.label in map(str, range(10))


def test_what_is_read_has_a_stamp_that_changes_with_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with originals(folder, GREY) as given:
        before = given.stamp
    Image.new("L", (9, 9)).save(folder / "cat" / "3.png")
    with originals(folder, GREY) as given:
        assert given.stamp != before


def test_arrays_and_missing_paths(tmp_path: Path) -> None:
    with originals(np.zeros((2, 8, 8), np.uint8), GREY) as given:
        assert [each.name for each in given if isinstance(each, Original)] == ["0", "1"]
    with pytest.raises(UsageError, match="no picture or folder"), originals(tmp_path / "gone", GREY):
        pass
