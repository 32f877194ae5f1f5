"""Holes from a folder of masks."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from genlab.core.errors import DataError, UsageError
from genlab.core.random import Draws, generator
from genlab.data.dataset import Source, make_dataset
from genlab.data.masks import open_masks
from genlab.data.restoration import open_degraded

PICTURES = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), np.uint8)


def saved(folder: Path, **masks: npt.NDArray[np.uint8]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


def corner(height: int = 32, width: int = 32, white: int = 255) -> npt.NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 4] = white
    return mask


def opened(*degrade: str) -> Source:
    data = make_dataset("random", PICTURES, None, ())
    return open_degraded(Source("random", data, data, len(data)), degrade)


def test_each_picture_gets_one_of_the_masks_in_its_size_the_same_each_time(tmp_path: Path) -> None:
    folder = saved(tmp_path / "masks", a=corner(), b=corner(64, 48).T.copy())
    split = opened(f"holes={folder}").train
    holes, again = (split.batch(np.arange(12)).condition["mask"][:, 0] > 0 for _ in range(2))
    assert (holes == again).all()
    kinds = {hole.numpy().tobytes() for hole in holes}
    wanted = corner(16, 16) > 0
    assert kinds == {wanted.tobytes(), wanted.T.copy().tobytes()}
    source = split.batch(np.arange(12)).condition["source"]
    assert (source[holes[:, None].expand_as(source)] == 0).all()


def test_known_says_that_white_is_what_is_known(tmp_path: Path) -> None:
    folder = saved(tmp_path / "masks", a=corner())
    hole, other = (
        opened(f"{word}={folder}").train.batch(np.arange(2)).condition["mask"] for word in ("holes", "known")
    )
    assert (hole == -other).all()


def test_the_content_of_the_folder_is_part_of_the_fingerprint_and_its_place_is_not(tmp_path: Path) -> None:
    one, same = (saved(tmp_path / name, a=corner()) for name in ("one", "same"))
    other = saved(tmp_path / "other", a=corner().T.copy())
    prints = [opened(f"holes={folder}").train.fingerprint for folder in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_what_is_wrong_with_masks_is_said(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 8, np.uint8), (32, 1))
    folder = saved(tmp_path / "masks", ramp=ramp, black=0 * corner(), whole=0 * corner() + 255, fine=corner())
    (folder / "broken.png").write_bytes(b"no picture")
    masks = open_masks(folder, 16, 16, known=False)
    assert len(masks.packed) == 2
    for text in ("2 masks", "1 not black and white", "ramp.png", "2 left out", "black.png", "broken.png"):
        assert text in masks.note
    assert "inverted" not in masks.note
    assert "masks" in opened(f"holes={folder}").notes


def test_masks_that_look_inverted_are_noticed(tmp_path: Path) -> None:
    folder = saved(tmp_path / "masks", a=255 - corner(), b=255 - corner())
    assert f"as if inverted: if so, --degrade known={folder}" in open_masks(folder, 16, 16, known=False).note
    assert "inverted" not in open_masks(folder, 16, 16, known=True).note


def test_a_folder_without_a_mask_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no mask that can be used: 1 left out"):
        open_masks(saved(tmp_path / "black", a=0 * corner()), 16, 16, known=False)
    with pytest.raises(UsageError, match=r"no holes .center., nor a folder of masks\. Did you mean .centre."):
        opened("holes=center")
    with pytest.raises(UsageError, match=r"there is no folder of masks /gone\. Move it back"):
        opened("holes=/gone")


def test_transparent_parts_count_as_black_which_is_said(tmp_path: Path) -> None:
    (folder := tmp_path / "masks").mkdir()
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[:20, :20] = 255
    Image.fromarray(clear).save(folder / "a.png")
    masks = open_masks(folder, 64, 64, known=False)
    assert "1 with transparent parts, which count as black: a.png" in masks.note
    assert (masks(64, 64, Draws(generator(0, "test"), 1)) == (clear[..., 3] > 0)).all()


def test_masks_are_drawn_by_the_seed(tmp_path: Path) -> None:
    masks = open_masks(saved(tmp_path / "masks", a=corner(), b=corner().T.copy()), 16, 16, known=False)
    drawn = [masks(16, 16, Draws(generator(0, "test", at), 1)).tobytes() for at in range(20)]
    assert len(set(drawn)) == 2
