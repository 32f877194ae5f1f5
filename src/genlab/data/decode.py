"""Decodes a file to a picture: header, orientation, and any pixel type to 8-bit grey or RGB.

The orientation in EXIF is applied first; transparent pictures are put on white; 16-bit values are divided by 257;
of an animation the first frame is used; embedded colour profiles are ignored.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from genlab.core.text import short
from genlab.data import libtiff
from genlab.data.dataset import Array
from genlab.data.fit import Size, Whole, fit, sides
from genlab.data.formats import FILE_LIMIT, MEGAPIXELS, READ, not_read
from genlab.data.memory import Memory

if TYPE_CHECKING:
    from PIL import Image

_PIXELS = Memory(3 * 2**28)  # of the pictures that all threads are decoding
_BYTES = 8  # of a pixel while it is decoded: four channels, twice
MOST_FRAMES = 2**28  # bytes of all frames of a GIF, which are decoded at once
_SHOWN = 200  # characters of a reason: some libraries quote what they read
_STRIP = 2**20  # pixels of a large picture that are converted at a time
_HALF, _WORD = 128, 257  # 16-bit values are divided by 257, rounded
GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})  # pixel types without colour
_WORDS = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


class Header(NamedTuple):
    """The header of an image file."""

    width: int
    height: int
    grey: bool  # by the pixel type: a grey picture that is stored in colour counts as colour


@contextmanager
def strict() -> Iterator[None]:
    """Turn decompression bombs into errors and hide warnings about metadata; enter it from one thread only."""
    from PIL import Image

    Image.init()  # loads the plugins, which threads must not do at once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_header(file: BinaryIO) -> Header:
    """Return the header of an image file; raises what Pillow raises if it is not one."""
    with _open(file) as picture:
        return Header(picture.width, picture.height, picture.mode in GREY)


class Decoded(NamedTuple):
    """An image file as an array, and how large the picture was."""

    array: Array  # uint8 (channels, H, W); of two halves (2 channels, H, W)
    size: tuple[int, int]  # height and width of the upright picture in the file


def decode(file: BinaryIO, size: Size | None, channels: int, *, halves: bool = False) -> Decoded:
    """Return an image file, by `fit` in a size if one is given; raises what Pillow raises, or ValueError.

    With `halves`, the left and the right half are brought to that size, each by itself.
    """
    least = 2 * max(sides(size)) if size else None
    with upright(file, least) as (picture, own):
        plain, size = to_bytes(picture), size or Whole(*own)
        if not halves:
            return Decoded(fit(plain, size, channels), own)
        return Decoded(np.concatenate([fit(half, size, channels) for half in _halves(plain)]), own)


@contextmanager
def upright(file: BinaryIO, least: int | None = None) -> "Iterator[tuple[Image.Image, tuple[int, int]]]":
    """Yield a decoded image file as it is shown, with its height and width; its memory is held in the context.

    A JPEG is decoded at a lower resolution if its sides are `least` then, or longer. Raises what Pillow raises, or
    ValueError.
    """
    from PIL import ImageOps

    with _open(file) as picture:
        width, height = picture.size
        pixels = width * height
        if least and picture.format in ("JPEG", "MPO"):
            picture.draft(None, (least, least))
            if not picture.info.get("progressive"):  # libjpeg keeps the whole of one that is
                pixels = picture.width * picture.height
        with _PIXELS.held(_BYTES * pixels * (2 if picture.format in MEGAPIXELS else 1)):
            libtiff.load(picture)
            stored = picture.size
            ImageOps.exif_transpose(picture, in_place=True)
            yield picture, (height, width) if picture.size == stored else (width, height)


def _halves(picture: "Image.Image") -> "list[Image.Image]":
    """Return the left and the right half; of an odd width both without the column in the middle."""
    width, height = picture.size
    half = width // 2
    return [picture.crop((left, 0, left + half, height)) for left in (0, width - half)]


def reason(error: Exception) -> str:
    """Return the reason why a file was rejected, in words."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"decompression bomb: more than {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return short(str(error) or type(error).__name__, _SHOWN)


class Shown(NamedTuple):
    """How a frame of a GIF is shown."""

    milliseconds: int
    loop: int | None  # how often the animation is repeated, 0 for ever; None: it is shown once


def decode_frames(file: BinaryIO, channels: int) -> list[tuple[Array, Shown]]:
    """Return all frames of a GIF as uint8 (channels, H, W), with their times; raises as `decode` does."""
    with _open(file) as picture:
        count = getattr(picture, "n_frames", 1)
        size = Whole(picture.height, picture.width)
        if count * picture.width * picture.height * channels > MOST_FRAMES:
            raise ValueError(f"{count:,} frames, which are more than {MOST_FRAMES / 1e6:,.0f} MB when decoded")
        frames = []
        for number in range(count):
            picture.seek(number)
            shown = Shown(picture.info.get("duration", 0), picture.info.get("loop"))
            frames.append((fit(to_bytes(picture), size, channels), shown))
        return frames


def to_bytes(picture: "Image.Image") -> "Image.Image":
    """Return the picture in mode L or RGB.

    Raises:
        ValueError: float pixels, whose range is unknown, or integers of more than 16 bits.
    """
    if picture.mode in _WORDS:
        extrema = np.asarray(picture.getextrema())
        if extrema.min() < 0 or extrema.max() > 65535:
            raise ValueError("integer pixels of more than 16 bits, whose range is unknown")
        return _by_strips(picture, "L", _from_words)
    if picture.mode == "F":
        raise ValueError("float pixels, whose range is unknown")
    if picture.has_transparency_data:
        return _by_strips(picture, "L" if picture.mode in GREY else "RGB", _on_white)
    if picture.mode == "LAB":
        return _from_lab(picture)
    return picture.convert("L" if picture.mode in GREY else "RGB")


def _open(file: BinaryIO) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    length = file.seek(0, 2)
    if not length:
        raise ValueError("empty file")
    if length > FILE_LIMIT:
        raise ValueError(
            f"{length / 1e6:,.0f} MB, more than the {FILE_LIMIT / 1e6:,.0f} MB that a picture may have"
        )
    file.seek(0)
    try:
        picture = Image.open(file, formats=[name for name in READ if name in Image.OPEN])
    except UnidentifiedImageError as error:
        if known := not_read(file):
            raise ValueError(known) from error
        raise
    if (picture.format, picture.mode) == ("TGA", "1"):  # no program writes it, but many other files look like it
        raise ValueError("not an image")
    millions, most = picture.width * picture.height / 1e6, MEGAPIXELS.get(picture.format or "")
    if most and millions > most:
        raise ValueError(f"{millions:,.0f} megapixels, more than the {most} that {picture.format} may have")
    if picture.format == "PNG":
        _scale_transparent(picture)
    return picture


def _scale_transparent(picture: "Image.Image") -> None:
    """Scale the transparent colour of a PNG of 2, 4 or 3 × 16 bits to 8 bits, as Pillow scales its pixels."""
    clear, tiles = picture.info.get("transparency"), getattr(picture, "tile", ())
    kind = tiles[0][3] if tiles else ""
    if kind in ("L;2", "L;4") and isinstance(clear, int):
        picture.info["transparency"] = clear * (255 // 3 if kind == "L;2" else 255 // 15)
    elif kind == "RGB;16B" and isinstance(clear, tuple):
        picture.info["transparency"] = tuple(word >> 8 for word in clear)


def _by_strips(
    picture: "Image.Image", mode: str, convert: "Callable[[Image.Image], Image.Image]"
) -> "Image.Image":
    """Return the picture in another mode, converted a few rows at a time, so that copies are small."""
    from PIL import Image

    width, height = picture.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        return convert(picture)
    whole = Image.new(mode, picture.size)
    for top in range(0, height, rows):
        whole.paste(convert(picture.crop((0, top, width, min(top + rows, height)))), (0, top))
    return whole


def _from_words(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    words = np.asarray(picture).astype(np.int64)
    levels = ((words + _HALF) // _WORD).astype(np.uint8)
    if isinstance(clear := picture.info.get("transparency"), int):
        levels[words == clear] = 255  # on white
    return Image.fromarray(levels)


def _on_white(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    grey = picture.mode in GREY
    front = picture.convert("RGBA")
    white = Image.new("RGBA", front.size, "white")
    return Image.alpha_composite(white, front).convert("L" if grey else "RGB")


def _from_lab(picture: "Image.Image") -> "Image.Image":
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None  # None is returned for inPlace=True only
    return converted
