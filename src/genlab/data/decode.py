"""Decodes a file to a picture: header, orientation, and any pixel type to 8-bit grey or RGB.

The orientation in EXIF is applied first; transparent pictures are put on white; 16-bit values are divided by 257;
of an animation the first frame is used; embedded colour profiles are ignored.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from genlab.data.dataset import Array
from genlab.data.fit import Size, fit, sides

if TYPE_CHECKING:
    from PIL import Image

# A fixed list, so that nothing else is tried: Pillow would hand an EPS file to Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
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
        return Header(picture.width, picture.height, picture.mode in _GREY)


def decode(file: BinaryIO, size: Size, channels: int) -> Array:
    """Return an image file as uint8 `(channels, H, W)`, by `fit`; raises what Pillow raises, or ValueError."""
    from PIL import ImageOps

    with _open(file) as picture:
        if picture.format in ("JPEG", "MPO"):
            least = 2 * max(sides(size))
            picture.draft(None, (least, least))  # decodes at a lower resolution, but not below this
        ImageOps.exif_transpose(picture, in_place=True)
        return fit(to_bytes(picture), size, channels)


def decode_whole(file: BinaryIO, size: tuple[int, int], channels: int) -> tuple[Array, tuple[int, int]]:
    """Return a whole image file as uint8 `(channels, *size)`, and its own height and width; raises as `decode`."""
    from PIL import Image, ImageOps

    with _open(file) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        resized = to_bytes(picture).resize(size[::-1], Image.Resampling.BICUBIC, reducing_gap=2.0)
        array = np.asarray(resized.convert("L" if channels == 1 else "RGB"))
        return array.reshape(*size, channels).transpose(2, 0, 1), (picture.height, picture.width)


def reason(error: Exception) -> str:
    """Return the reason why a file was rejected, in words."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"decompression bomb: more than {Image.MAX_IMAGE_PIXELS} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return str(error) or type(error).__name__


def to_bytes(picture: "Image.Image") -> "Image.Image":
    """Return the picture in mode L or RGB.

    Raises:
        ValueError: float pixels, whose range is unknown, or integers of more than 16 bits.
    """
    if picture.mode in _WORDS:
        return _from_words(picture)
    if picture.mode == "F":
        raise ValueError("float pixels, whose range is unknown")
    if picture.has_transparency_data:
        return _on_white(picture)
    if picture.mode == "LAB":
        return _from_lab(picture)
    return picture.convert("L" if picture.mode in _GREY else "RGB")


def _open(file: BinaryIO) -> "Image.Image":
    from PIL import Image

    if not file.read(1):
        raise ValueError("empty file")
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _from_words(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    words = np.asarray(picture).astype(np.int64)
    if words.min() < 0 or words.max() > 65535:
        raise ValueError("integer pixels of more than 16 bits, whose range is unknown")
    return Image.fromarray(((words + 128) // 257).astype(np.uint8))


def _on_white(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    grey = picture.mode in _GREY
    front = picture.convert("RGBA")
    white = Image.new("RGBA", front.size, "white")
    return Image.alpha_composite(white, front).convert("L" if grey else "RGB")


def _from_lab(picture: "Image.Image") -> "Image.Image":
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None  # None is returned for inPlace=True only
    return converted
