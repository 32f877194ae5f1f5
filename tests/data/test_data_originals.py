"""Pictures that are read whole, one after the other, with their own sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, file_names, originals

MODEL = Images(3, 16, 8)


def test_files_are_read_whole_and_upright_in_the_shape_of_the_model(tmp_path: Path) -> None:
    half = np.zeros((40, 20), np.uint8)
    half[20:] = 255
    Image.fromarray(half).save(tmp_path / "a.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(half).convert("RGB").save(tmp_path / "b.jpg", exif=turned)
    (tmp_path / "c.png").write_bytes(b"no picture")
    upright, wide, broken = originals(tmp_path, MODEL)
    assert isinstance(upright, Original)
    assert isinstance(wide, Original)
    assert isinstance(broken, Rejected)
    assert (upright.size, wide.size) == ((40, 20), (20, 40))
    assert upright.pixels.shape == wide.pixels.shape == (3, 16, 8)
    assert upright.pixels[:, :7].max() < -0.9 < 0.9 < upright.pixels[:, 9:].min()
    assert wide.pixels[:, :, 5:].max() < -0.9 < 0.9 < wide.pixels[:, :, :3].min()


def test_images_in_memory_are_taken_as_they_are() -> None:
    given = torch.linspace(-1, 1, 2 * 3 * 16 * 8).view(2, 3, 16, 8)
    read = originals(given, MODEL)
    found = [item for item in read if isinstance(item, Original)]
    assert (read.count, [item.file for item in found], found[0].size) == (2, ["000000.png", "000001.png"], None)
    assert torch.equal(torch.stack([item.pixels for item in found]), given)


def test_what_a_model_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no picture or folder"):
        originals(tmp_path / "gone", MODEL)
    with pytest.raises(UsageError, match="not on pictures"):
        originals(tmp_path, Points(2))


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
