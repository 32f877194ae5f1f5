"""Pictures that are read in their own sizes, and the frames of GIFs with their times."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.errors import UsageError
from genlab.core.modality import Images
from genlab.core.pictures import gif
from genlab.data import decode
from genlab.data.dataset import Rejected
from genlab.data.frames import Frame, frames_of

MODEL = Images(3, 16, 16)


def read(given: object, modality: Images = MODEL) -> tuple[list[Frame], list[Rejected]]:
    with frames_of(given, modality) as frames:
        items = list(frames)
    return [i for i in items if isinstance(i, Frame)], [i for i in items if isinstance(i, Rejected)]


def noise(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_pictures_keep_their_sizes_bytes_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "a.png")
    Image.fromarray(noise(5, 7)).save(tmp_path / "sub" / "b.bmp")
    (tmp_path / "c.png").write_bytes(b"no picture")
    (a, b), (c,) = read(tmp_path)
    assert (a.file, b.file, c.path) == ("a.png", "sub/b.png", "c.png")
    assert (a.pixels == np.moveaxis(noise(20, 30, 3), 2, 0)).all()
    assert (b.pixels == noise(5, 7)).all()
    assert b.pixels.shape == (3, 5, 7)


def test_pictures_are_upright_and_on_white(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(noise(10, 40)).save(tmp_path / "a.jpg", exif=turned)
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "b.png")
    (a, b), _ = read(tmp_path)
    assert a.pixels.shape == (3, 40, 10)
    assert (b.pixels == 255).all()


def test_the_channels_are_those_of_the_model(tmp_path: Path) -> None:
    Image.fromarray(noise(10, 10, 3)).save(tmp_path / "a.png")
    (a,), _ = read(tmp_path / "a.png", Images(1, 16, 16))
    assert a.pixels.shape == (1, 10, 10)


def test_a_zip_is_read_as_its_folder(tmp_path: Path) -> None:
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "inside/a.png")
    (frame,), rejected = read(tmp_path / "b.zip")
    assert (frame.file, frame.pixels.shape, rejected) == ("inside/a.png", (3, 20, 30), [])


def test_each_frame_of_a_gif_has_its_time(tmp_path: Path) -> None:
    pictures = [np.full((6, 8, 1), value, np.uint8) for value in (0, 100, 200)]
    (tmp_path / "a.gif").write_bytes(gif(pictures, [50, 100, 150], loop=3))
    (tmp_path / "b.GIF").write_bytes(gif(pictures[:2], loop=None))
    frames, _ = read(tmp_path)
    assert [f.file for f in frames] == ["a.gif"] * 3 + ["b.gif"] * 2
    assert [f.last for f in frames] == [False, False, True, False, True]
    assert [f.shown for f in frames[:3]] == [(50, 3), (100, 3), (150, 3)]
    assert [f.shown and f.shown.loop for f in frames[3:]] == [None, None]
    assert [int(f.pixels[0, 0, 0]) for f in frames[:3]] == [0, 100, 200]
    assert frames[1].name == "a.gif, frame 2"


def test_a_gif_too_large_to_decode_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gif").write_bytes(gif([noise(8, 8, 1), noise(8, 8, 1) // 2]))
    monkeypatch.setattr(decode, "MOST_FRAMES", 300)
    frames, (rejected,) = read(tmp_path)
    assert not frames
    assert "2 frames, which are more than" in rejected.reason


@pytest.mark.parametrize("shape", [(2, 3, 20, 30), (2, 20, 30, 3)])
def test_an_array_may_have_any_size(shape: tuple[int, ...]) -> None:
    (a, _), _ = read(noise(*shape))
    assert (a.file, a.pixels.shape) == ("000000.png", (3, 20, 30))
    floats = torch.from_numpy(noise(2, 3, 20, 30)) / 127.5 - 1
    (b, _), _ = read(floats)
    assert (b.pixels == noise(2, 3, 20, 30)[0]).all()


def test_a_grey_array_may_lack_channels() -> None:
    frames, _ = read(noise(4, 20, 30), Images(1, 16, 16))
    assert [f.pixels.shape for f in frames] == [(1, 20, 30)] * 4


def test_an_array_of_other_channels_is_refused() -> None:
    with pytest.raises(UsageError, match="trained on pictures"):
        read(noise(2, 1, 16, 16))
