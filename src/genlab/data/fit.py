"""Resizes and crops pictures of any size to squares of one size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genlab.core.errors import UsageError
from genlab.data.dataset import Array

if TYPE_CHECKING:
    from PIL import Image

LEAST, MOST = 8, 512
CHANNELS = (1, 3)
DEFAULTS = (32, 64)
KEPT = (16, 32, 64, 128, 256)  # sides that all networks take
RULE = "shorter side to {size} px (bicubic, antialiased), centre square"


def check_request(size: int | None, channels: int | None) -> None:
    """Raise UsageError unless size and channels are None or supported values."""
    if size is not None and not LEAST <= size <= MOST:
        raise UsageError(f"no size {size}. Choices: {LEAST} to {MOST} (pixels of the shorter side).")
    if channels is not None and channels not in CHANNELS:
        raise UsageError(f"no {channels} channels. Choices: 1 (grey), 3 (colour).")


def default_size(shorter_sides: Sequence[int] | Array) -> int:
    """Return 32 if the median of the shorter sides is at most 32 pixels, else 64."""
    small, large = DEFAULTS
    return small if float(np.median(shorter_sides)) <= small else large


def kept_size(width: int, height: int) -> int | None:
    """Return the size of images given in Python that are not resized by default; None for others."""
    return width if width == height and width in KEPT else None


def fit(picture: "Image.Image", size: int, channels: int) -> Array:
    """Return an 8-bit grey or RGB picture as uint8 `(channels, size, size)`.

    The shorter side is resized to `size` and the centre square is cropped, in one antialiased step. Colour is
    converted to grey by ITU-R 601 luma.

    References:
        Parmar et al., 2022. On Aliased Resizing and Surprising Subtleties in GAN Evaluation. arXiv:2104.11222.
    """
    from PIL import Image

    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2  # whole pixels: a crop at half pixels would blur
    box = (left, top, left + side, top + side)
    square = picture.resize((size, size), Image.Resampling.BICUBIC, box, reducing_gap=2.0)
    if channels == 1:
        return np.asarray(square.convert("L"))[None]
    return np.asarray(square.convert("RGB")).transpose(2, 0, 1)


def fit_all(images: Array, size: int, channels: int) -> Array:
    """Return uint8 images `(N, C, H, W)`, with C 1 or 3, as `(N, channels, size, size)`, by `fit`."""
    from PIL import Image

    if images.shape[1:] == (channels, size, size):
        return images
    fitted = np.empty((len(images), channels, size, size), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
        fitted[row] = fit(Image.fromarray(pixels), size, channels)
    return fitted
