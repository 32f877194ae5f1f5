"""Pictures that are read whole, one after the other, with their own sizes."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, file_names, originals

MODEL, GREY = Images(3, 16, 8), Images(1, 8, 8)


def test_files_are_read_whole_and_upright_in_the_shape_of_the_model(tmp_path: Path) -> None:
    half = np.zeros((40, 20), np.uint8)
    half[20:] = 255
    Image.fromarray(half).save(tmp_path / "a.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(half).convert("RGB").save(tmp_path / "b.jpg", exif=turned)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with originals(tmp_path, MODEL) as read:
        upright, wide, broken = read
    assert isinstance(upright, Original)
    assert isinstance(wide, Original)
    assert isinstance(broken, Rejected)
    assert (upright.size, wide.size) == ((40, 20), (20, 40))
    assert upright.pixels.shape == wide.pixels.shape == (3, 16, 8)
    assert upright.pixels[:, :7].max() < -0.9 < 0.9 < upright.pixels[:, 9:].min()
    assert wide.pixels[:, :, 5:].max() < -0.9 < 0.9 < wide.pixels[:, :, :3].min()


def test_images_in_memory_are_taken_as_they_are() -> None:
    given = torch.linspace(-1, 1, 2 * 3 * 16 * 8).view(2, 3, 16, 8)
    with originals(given, MODEL) as read:
        found = [item for item in read if isinstance(item, Original)]
    assert (read.count, [item.file for item in found], found[0].size) == (2, ["000000.png", "000001.png"], None)
    assert torch.equal(torch.stack([item.pixels for item in found]), given)


def test_what_a_model_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no picture or folder"), originals(tmp_path / "gone", MODEL):
        pass
    with pytest.raises(UsageError, match="not on pictures"), originals(tmp_path, Points(2)):
        pass


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["a.jpg", "b/a.webp", "c"], ["a.png", "b/a.png", "c.png"]),
        (["a.jpg", "A.png"], ["a.jpg.png", "A.png.png"]),
        (["a.jpg", "a.jpg.png", "a.png"], ["a.jpg.png", "a.jpg.png.png", "a.png.png"]),
    ],
)
def test_each_file_gets_a_png_of_its_own(names: list[str], files: list[str]) -> None:
    assert file_names(names) == files


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
