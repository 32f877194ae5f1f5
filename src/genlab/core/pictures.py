"""Draws tensors as pictures of bytes: grids, scatter plots, label tiles, PNG and GIF."""

import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Picture = NDArray[np.uint8]  # (H, W, 3) or (H, W, 1)

TILE = 64  # side of the tile of a label, in pixels
GAP = 16  # pixels between two pictures side by side
POINT_CANVAS = 256  # side of a scatter plot, in pixels


def to_bytes(images: "Tensor") -> NDArray[np.uint8]:
    """Return images (B, C, H, W) in [-1, 1] as bytes (B, H, W, C), rounded to the nearest one."""
    import torch

    scaled = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    array: NDArray[np.uint8] = scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return array


def image_grid(images: "Tensor", columns: int | None = None) -> Picture:
    """Lay out images (B, C, H, W) in [-1, 1] in a grid, two pixels apart.

    Without `columns` the grid is about square. Images smaller than 32 pixels are shown at least twice as large.
    """
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
    """Return the number of columns of an about square grid whose labels cycle: each column shows one class."""
    return classes * max(1, round(math.sqrt(count) / classes))


def scatter_plot(points: "Tensor") -> Picture:
    """Draw points (B, 2 or more) in [-1, 1]² as black dots; x to the right, y upwards."""
    canvas = np.full((POINT_CANVAS, POINT_CANVAS, 1), 255, np.uint8)
    places = (
        ((points.detach().cpu().flatten(1)[:, :2].clamp(-1, 1) + 1) / 2 * (POINT_CANVAS - 1))
        .round()
        .long()
        .numpy()
    )
    canvas[POINT_CANVAS - 1 - places[:, 1], places[:, 0]] = 0
    return canvas


def label_tiles(names: Sequence[str], columns: int | None = None) -> Picture:
    """Write each name on a tile, and lay out the tiles in a grid."""
    import torch
    from PIL import Image, ImageDraw

    tiles = np.full((len(names), 1, TILE, TILE), 255, np.uint8)
    for tile, name in zip(tiles, names, strict=True):
        paper = Image.new("L", (TILE, TILE), 255)
        ImageDraw.Draw(paper).multiline_text((1, 1), "\n".join(textwrap.wrap(name, 9)), fill=0)
        tile[0] = np.asarray(paper)
    return image_grid(torch.from_numpy(tiles).float() / 127.5 - 1, columns)


def stacked(pictures: Sequence[Picture]) -> Picture:
    """Stack pictures vertically, two pixels apart; narrower ones are padded with white."""
    width, channels = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    parts = []
    for picture in pictures:
        part = np.full((picture.shape[0] + 2, width, channels), 255, np.uint8)
        part[:-2, : picture.shape[1]] = picture
        parts.append(part)
    whole: Picture = np.concatenate(parts)[:-2]
    return whole


def beside(left: Picture, right: Picture) -> Picture:
    """Put two pictures side by side; the shorter one is padded with white."""
    height, channels = max(len(left), len(right)), max(left.shape[2], right.shape[2])
    whole = np.full((height, left.shape[1] + GAP + right.shape[1], channels), 255, np.uint8)
    whole[: len(left), : left.shape[1]] = left
    whole[: len(right), left.shape[1] + GAP :] = right
    return whole


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
    """Return pictures of one size as a looping animation, each shown for `milliseconds`."""
    first, *others = [to_pillow(picture) for picture in pictures]
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)
    return stream.getvalue()
