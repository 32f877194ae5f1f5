"""Images for a trained model: arrays and data of one's own."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genlab
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points
from genlab.data.read import read_images

BYTES = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)
BYTES[0, 0, 0, :2] = 0, 255
REALS = BYTES.astype(np.float32) / np.float32(127.5) - np.float32(1)
MODEL = Images(3, 16, 16)


@pytest.mark.parametrize(
    "given", [BYTES, np.moveaxis(BYTES, 1, 3), REALS, torch.from_numpy(BYTES), REALS.astype(float)]
)
def test_arrays_of_images_are_taken_in_any_layout(given: Any) -> None:
    read = read_images(given, MODEL)
    assert torch.allclose(read.images, torch.from_numpy(REALS))
    assert read.images.dtype == torch.float32
    assert read.names == ["0", "1", "2", "3", "4", "5"]


def test_the_name_of_the_files_depends_on_the_images() -> None:
    names = {read_images(given, MODEL).title for given in (BYTES, np.moveaxis(BYTES, 1, 3), 255 - BYTES)}
    assert len(names) == 2


def test_grey_images_need_no_channel_axis() -> None:
    assert read_images(BYTES[:, 0], Images(1, 16, 16)).images.shape == (6, 1, 16, 16)


def test_points_are_taken_as_they_are() -> None:
    points = np.array([[0.5, 3]], np.float32)
    assert read_images(points, Points(2)).images.tolist() == points.tolist()


def test_the_held_out_part_of_own_data_is_taken_at_the_size_of_the_model() -> None:
    genlab.part("data", "mine")(BYTES.repeat(10, 0))
    read = read_images("mine", Images(1, 32, 32))
    assert read.images.shape[1:] == (1, 32, 32)
    assert read.title == "mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (BYTES[:, :, :8], r"has shape \(6, 3, 8, 16\), but this model was trained on pictures \(N, 3, 16, 16\)"),
        (BYTES[:0], "has shape"),
        (BYTES[0], r"Give a single picture as array\[None\]"),
        (BYTES / 255, r"from 0 to 1: give bytes, or floats in \[-1, 1\]"),
        (np.where(BYTES == 0, -1e-7, BYTES / 255), r"from -1e-07 to 1: give bytes, or floats in \[-1, 1\]"),
        (REALS * 2, "from -2 to 2"),
        (REALS * 1.01, "from -1.01 to 1.01"),
        (BYTES.astype(int), "holds int64"),
        (REALS * np.nan, "finite"),
        ([BYTES], r"or an array \(N, 3, 16, 16\), not a list"),
        ("nowhere", "no picture or folder nowhere"),
    ],
)
def test_other_images_are_refused_in_their_own_shape(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_images(given, MODEL)


def test_values_outside_by_rounding_are_clipped() -> None:
    images = read_images(REALS * (1 + 1e-6), MODEL).images
    assert (images.min(), images.max()) == (-1, 1)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        read_images(tmp_path / "pipe.png", MODEL)
