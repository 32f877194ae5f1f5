"""Draws tensors as pictures of bytes: grids, scatter plots, label tiles, PNG and GIF."""

import io
import math
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont
    from torch import Tensor

Picture = NDArray[np.uint8]  # (H, W, 3) or (H, W, 1)

TILE = 64  # side of the tile of a label, in pixels
LEAST_SIDE = 32  # of an image in a grid; smaller ones are enlarged
HEADING = 64  # pixels that the name of a column needs
SPACE = 2  # between the images of a grid, in pixels
GAP = 16  # between two pictures side by side, in pixels
MOST_PIXELS = 70_000_000  # of a grid: 64 images of 1024 pixels; programs refuse to open much larger pictures
MOST_POINTS = 2**20  # in a plot
MOST_LINES = 4  # of a caption
POINT_CANVAS = 256  # side of a scatter plot, in pixels
LETTERS = 9  # height of the letters of captions, in pixels


def to_bytes(images: "Tensor") -> NDArray[np.uint8]:
    """Return images (B, C, H, W) in [-1, 1] as bytes (B, H, W, C), rounded to the nearest one."""
    import torch

    scaled = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    array: NDArray[np.uint8] = scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return array


def image_grid(images: "Tensor", columns: int | None = None, names: Sequence[str] = ()) -> Picture:
    """Lay out images (B, C, H, W) in [-1, 1] in a grid, two pixels apart.

    Without `columns` the grid is about square. Images smaller than 32 pixels are shown at least twice as large.
    `names`, one for each image, are written above them: once if they are all equal, above each column if its
    images have one name, and else above each image.
    """
    tiles, scale = to_bytes(images), _scale(images.shape[2])
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    columns = columns or int(np.ceil(np.sqrt(len(tiles))))
    if not names:
        return _laid_out(tiles, columns)
    if len(set(names)) == 1:
        grid = _laid_out(tiles, columns)
        return stacked([_captions(names[:1], grid.shape[1])[0], grid])
    if all(name == names[place % columns] for place, name in enumerate(names)):
        return stacked([_laid_out(_captions(names[:columns], tiles.shape[2]), columns), _laid_out(tiles, columns)])
    return captioned(tiles, names, columns)


def captioned(tiles: NDArray[np.uint8], names: Sequence[str], columns: int) -> Picture:
    """Lay out tiles (N, H, W, C) in a grid, two pixels apart, each below its name."""
    captions = _captions(names, tiles.shape[2]).repeat(tiles.shape[3], axis=3)
    return _laid_out(np.concatenate([captions, tiles], axis=1), columns)


def enlarged(images: "Tensor") -> "Tensor":
    """Return images (..., H, W), enlarged by a whole number so that a name of a column fits above them."""
    times = -(-HEADING // images.shape[-1])
    return images.repeat_interleave(times, -1).repeat_interleave(times, -2)


def _scale(height: int) -> int:
    """Return how many times as large images of a height are shown."""
    return -(-LEAST_SIDE // height)


def _laid_out(tiles: NDArray[np.uint8], columns: int) -> Picture:
    count, height, width, channels = tiles.shape
    rows, down, right = -(-count // columns), height + SPACE, width + SPACE
    canvas = np.full((rows * down - SPACE, columns * right - SPACE, channels), 255, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * down, place % columns * right
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _captions(names: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Return names as black text (N, H, width, 1), each in as many lines as it takes, at most `MOST_LINES`."""
    from PIL import Image

    pen = _pen(Image.new("L", (1, 1)))
    texts = {name: _wrapped(name, width, pen) for name in names}
    height = max(math.ceil(pen.multiline_textbbox((0, 0), text)[3]) for text in texts.values()) + SPACE
    drawn = {}
    for name, text in texts.items():
        paper = Image.new("L", (width, height), 255)
        _pen(paper).multiline_text((0, 0), text, fill=0)
        drawn[name] = np.asarray(paper)[:, :, None]
    return np.stack([drawn[name] for name in names])


def _wrapped(name: str, width: int, pen: "ImageDraw.ImageDraw") -> str:
    """Return a name in lines that are at most `width` pixels wide, unless a letter is wider."""
    for letters in range(max(1, width // 3), 0, -1):  # no letter of the font is narrower than 3 pixels by much
        lines = textwrap.wrap(drawable(name), letters, max_lines=MOST_LINES, placeholder="..."[:letters])
        if all(pen.textlength(line) <= width for line in lines):
            break
    return "\n".join(lines)


def drawable(name: str) -> str:
    """Return a name with escapes for the characters that the font of captions lacks."""
    return "".join(c if _has_glyph(c) else c.encode("unicode_escape").decode() for c in name)


@cache
def _font() -> "ImageFont.FreeTypeFont":
    """Return DejaVu Sans, which matplotlib brings along: the font of Pillow has ASCII letters only."""
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), LETTERS)


def _pen(paper: "Image.Image") -> "ImageDraw.ImageDraw":
    """Return what draws on a picture, in the font of captions."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(paper)
    pen.font = _font()
    return pen


@cache
def _has_glyph(letter: str) -> bool:
    """Return whether the font can draw a letter. It draws those that it lacks like U+FFFF, which is none."""
    return letter.isprintable() and bytes(_font().getmask(letter)) != bytes(_font().getmask("\uffff"))


def most_in_grid(shape: Sequence[int]) -> int:
    """Return how many examples of a shape one picture may show: images (C, H, W), or points (D,)."""
    if len(shape) < 3:
        return MOST_POINTS
    height, width = (side * _scale(shape[1]) + SPACE for side in shape[1:])
    return max(1, MOST_PIXELS // (height * width))


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
    from PIL import Image

    tiles = np.full((len(names), 1, TILE, TILE), 255, np.uint8)
    for tile, name in zip(tiles, names, strict=True):
        paper = Image.new("L", (TILE, TILE), 255)
        _pen(paper).multiline_text((1, 1), "\n".join(textwrap.wrap(drawable(name), 9)), fill=0)
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


def table(rows: Sequence[Sequence[Picture]], names: Sequence[str]) -> Picture:
    """Lay out pictures of any size in rows, below the names of the columns; small ones are enlarged."""
    cells = [[p.repeat(_scale(len(p)), 0).repeat(_scale(len(p)), 1) for p in row] for row in rows]
    width = max(cell.shape[1] for row in cells for cell in row)
    channels = max(cell.shape[2] for row in cells for cell in row)
    lines = [_laid_out(_captions(names, width), len(names))]
    for row in cells:
        tiles = np.full((len(row), max(map(len, row)), width, channels), 255, np.uint8)
        for tile, cell in zip(tiles, row, strict=True):
            tile[: cell.shape[0], : cell.shape[1]] = cell
        lines.append(_laid_out(tiles, len(row)))
    return stacked(lines)


class Extent:
    """The size of a table of so many columns, to which rows are added."""

    def __init__(self, columns: int) -> None:
        self.columns, self.height, self.width = columns, 0, 0

    def add(self, height: int, width: int, most: int) -> bool:
        """Add a row of pictures of a size, if the table then has at most `most` pixels; return whether it has."""
        tall = self.height + height * _scale(height) + SPACE
        wide = max(self.width, width * _scale(height) + SPACE)
        fits = tall * wide * self.columns <= most
        if fits:
            self.height, self.width = tall, wide
        return fits


def resized(picture: Picture, height: int, width: int) -> Picture:
    """Return a picture in another size, bicubic."""
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    array = np.asarray(to_pillow(picture).resize((width, height), Image.Resampling.BICUBIC))
    return array.reshape(height, width, picture.shape[2])


def beside(left: Picture, right: Picture, gap: int = GAP) -> Picture:
    """Put two pictures side by side, `gap` pixels apart; the shorter one is padded with white."""
    height, channels = max(len(left), len(right)), max(left.shape[2], right.shape[2])
    whole = np.full((height, left.shape[1] + gap + right.shape[1], channels), 255, np.uint8)
    whole[: len(left), : left.shape[1]] = left
    whole[: len(right), left.shape[1] + gap :] = right
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


def gif(pictures: Sequence[Picture], milliseconds: int | Sequence[int] = 80, loop: int | None = 0) -> bytes:
    """Return pictures of one size as an animation, each shown for `milliseconds`.

    It is repeated `loop` times, with 0 for ever; with None it is shown once.
    """
    first, *others = [to_pillow(picture) for picture in pictures]
    times = milliseconds if isinstance(milliseconds, int) else list(milliseconds)
    repeated = {} if loop is None else {"loop": loop}
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=others, duration=times, **repeated)
    return stream.getvalue()
