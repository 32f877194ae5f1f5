"""From tensors of images to pictures for people: the border where [-1, 1] becomes bytes."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

Picture = NDArray[np.uint8]  # (H, W, 3) or (H, W, 1)

POINT_CANVAS = 256  # pixels a side of the drawing of a set of points


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Return images (B, C, H, W) in [-1, 1] as bytes (B, H, W, C), rounded to the nearest."""
    scaled = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    array: NDArray[np.uint8] = scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return array


def grid(images: Tensor, columns: int | None = None) -> Picture:
    """Lay images (B, C, H, W) in [-1, 1] out in rows, two pixels apart; points (B, 2, 1, 1) become one plot.

    Without `columns` the grid is about square. Images smaller than 32 pixels are shown at twice their size or
    more, so that a person can see them.
    """
    if tuple(images.shape[1:]) == (2, 1, 1):
        return _scatter(images)
    tiles = to_bytes(images)
    scale = -(-32 // tiles.shape[1])
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width, channels = tiles.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    canvas = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2, channels), 255, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + 2), place % columns * (width + 2)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def columns_of(count: int, classes: int) -> int:
    """Return the columns of a grid of images of each class in turn: about square, of one class in each."""
    return classes * max(1, round(math.sqrt(count) / classes))


def _scatter(points: Tensor) -> Picture:
    """Draw points in [-1, 1]² as black dots; x to the right, y upwards."""
    canvas = np.full((POINT_CANVAS, POINT_CANVAS, 1), 255, np.uint8)
    places = ((points.detach().cpu().flatten(1).clamp(-1, 1) + 1) / 2 * (POINT_CANVAS - 1)).round().long().numpy()
    canvas[POINT_CANVAS - 1 - places[:, 1], places[:, 0]] = 0
    return canvas


def to_pillow(picture: Picture) -> "Image.Image":
    """Return a Pillow image of a picture (H, W, 1 or 3)."""
    from PIL import Image

    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def png(picture: Picture) -> bytes:
    """Return a picture (H, W, 1 or 3) encoded as PNG."""
    stream = io.BytesIO()
    to_pillow(picture).save(stream, "PNG")
    return stream.getvalue()


def gif(pictures: Sequence[Picture], milliseconds: int = 80) -> bytes:
    """Return pictures of one size as an endless animation, each shown for `milliseconds`."""
    first, *others = [to_pillow(picture) for picture in pictures]
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)
    return stream.getvalue()
