"""Brings pictures of any size to one: the centre square of each, or whole pictures without cropping."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from genlab.core.errors import UsageError
from genlab.data.dataset import Array

if TYPE_CHECKING:
    from PIL import Image

LEAST, MOST = 8, 512
CHANNELS = (1, 3)
DEFAULTS = (32, 64)
KEPT = (16, 32, 64, 128, 256)  # sides that all networks take


class Whole(NamedTuple):
    """The size to which whole pictures are resized, which changes their aspect ratio if it differs."""

    height: int
    width: int


Size: TypeAlias = int | Whole
"""The side of the centre square that is cut out of a picture, or the size of whole pictures."""


def sides(size: Size) -> tuple[int, int]:
    """Return height and width of pictures of a size."""
    return (size, size) if isinstance(size, int) else (size.height, size.width)


def rule(size: Size) -> str:
    """Return in words how pictures are brought to a size."""
    if isinstance(size, int):
        return f"shorter side to {size} px (bicubic, antialiased), centre square"
    return f"whole pictures to {size.width}x{size.height} px (bicubic, antialiased)"


def change(shape: Sequence[int], size: Size, channels: int) -> str:
    """Return in words what becomes of pictures (C, H, W) that are brought to a size and a number of channels."""
    before, height, width = shape
    crop = ", which crops the longer side" if height != width and isinstance(size, int) else ""
    colour = f"; {before} to {channels} channels" if channels != before else ""
    return rule(size) + crop + colour


def check_request(size: Size | None, channels: int | None) -> None:
    """Raise UsageError unless size and channels are None or supported values."""
    if size is not None and not all(LEAST <= side <= MOST for side in sides(size)):
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


def fit(picture: "Image.Image", size: Size, channels: int) -> Array:
    """Return an 8-bit grey or RGB picture as uint8 `(channels, size, size)`, or `(channels, height, width)`.

    The shorter side is resized to `size` and the centre square is cropped, in one antialiased step; to a `Whole`
    size the whole picture is resized. Colour is converted to grey by ITU-R 601 luma.

    References:
        Parmar et al., 2022. On Aliased Resizing and Surprising Subtleties in GAN Evaluation. arXiv:2104.11222.
    """
    from PIL import Image

    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2  # whole pixels: a crop at half pixels would blur
    box = (left, top, left + side, top + side) if isinstance(size, int) else None
    high, wide = sides(size)
    fitted = picture.resize((wide, high), Image.Resampling.BICUBIC, box, reducing_gap=2.0)
    if channels == 1:
        return np.asarray(fitted.convert("L"))[None]
    return np.asarray(fitted.convert("RGB")).transpose(2, 0, 1)


def fit_all(images: Array, size: Size, channels: int) -> Array:
    """Return uint8 images `(N, C, H, W)`, with C 1 or 3, with `channels` and of one size, by `fit`."""
    from PIL import Image

    if images.shape[1:] == (channels, *sides(size)):
        return images
    fitted = np.empty((len(images), channels, *sides(size)), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
        fitted[row] = fit(Image.fromarray(pixels), size, channels)
    return fitted
