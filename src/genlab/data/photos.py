"""Reads pictures with what a file holds besides colours: transparency and a colour profile."""

import os
import zipfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from genlab.core.files import expanded
from genlab.core.modality import Modality
from genlab.core.parts import registered
from genlab.core.pictures import Picture
from genlab.core.text import printable
from genlab.data.archive import list_zip
from genlab.data.dataset import Rejected
from genlab.data.decode import GREY, reason, strict, to_bytes, upright
from genlab.data.frames import Frame, frames_of
from genlab.data.items import is_array
from genlab.data.listing import Listing
from genlab.data.originals import file_names
from genlab.data.read import list_pictures

if TYPE_CHECKING:
    from PIL import Image

_PNG_DEPTH = 24  # the byte of a PNG that holds the bits of a channel
_TIFF_DEPTH = 258  # the tag of a TIFF that does
_CONVERTED = ("CMYK", "LAB", "YCbCr", "HSV")  # modes that become RGB
_SPACES = {1: b"GRAY", 3: b"RGB "}  # the colour space that a profile of a picture with so many channels names
_SPACE = slice(16, 20)  # where it does


@dataclass(frozen=True)
class Photo:
    """A picture in its own size."""

    name: str  # its path relative to the folder, or its position
    file: str  # where what is made of it belongs, a relative path that ends in .png
    pixels: Picture  # (H, W, 1 or 3)
    alpha: Picture | None = None  # (H, W, 1), 255 where it is opaque
    profile: bytes | None = None  # its ICC profile
    changes: Sequence[str] = ()  # what was changed to read it


@dataclass(frozen=True)
class Photos:
    """Pictures that can be read one after the other; what is no picture is yielded as rejected."""

    title: str  # in the names of files
    count: int  # of files
    stamp: str  # changes with what is read
    read: Callable[[Container[str]], Iterator[Photo | Rejected]]  # all but those of some names


@contextmanager
def photos_of(given: object, modality: Modality) -> Iterator[Photos]:
    """Yield pictures, each in its own size and in grey or colour as it is.

    Args:
        given: a picture, a folder or a zip of pictures; the name of data of one's own, or an array, both as
            `frames_of` takes them.
        modality: of the images that a model takes.

    Raises:
        UsageError: there is nothing at a path, or an array does not have the channels of the model.
        DataError: a zip that is not intact.
    """
    if is_array(given) or not isinstance(given, str | os.PathLike) or os.fspath(given) in registered("data"):
        with frames_of(given, modality) as frames:
            yield Photos(frames.title, frames.count, frames.stamp, lambda done: _of_frames(frames.read(done)))
        return
    path = expanded(given)
    if path.is_file() and zipfile.is_zipfile(path):
        with list_zip(path) as listing:
            yield photos_in(path, listing)
    else:
        yield photos_in(path, list_pictures(path, modality))


def photos_in(path: Path, listing: Listing) -> Photos:
    """Return the pictures of a listing."""

    def read(done: Container[str]) -> Iterator[Photo | Rejected]:
        yield from listing.rejected
        names = [printable(entry.path) for entry in listing.entries]
        for at, (name, place) in enumerate(zip(names, file_names(names), strict=True)):
            if name in done:
                continue
            try:
                with strict(), listing.open(at) as file:
                    photo = decode_photo(file, name, place)
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                yield Rejected(name, reason(error))
            else:
                yield photo

    return Photos(path.stem or "pictures", listing.total, listing.digest(), read)


def _of_frames(frames: Iterable[Frame | Rejected]) -> Iterator[Photo | Rejected]:
    for item in frames:
        if isinstance(item, Rejected):
            yield item
        else:
            yield Photo(item.name, item.file, np.ascontiguousarray(np.moveaxis(item.pixels, 0, 2)))


def decode_photo(file: BinaryIO, name: str, place: str) -> Photo:
    """Return a picture, upright, with 8 bits a channel; raises what Pillow raises, or ValueError.

    Of an animation the first frame is taken. CMYK is converted to RGB, by the picture's own profile if it has one.
    """
    with upright(file) as (picture, _):
        changes = list(_changes(file, picture))
        profile = picture.info.get("icc_profile")
        alpha, plain = _without_alpha(picture)
        pixels = np.asarray(_from_cmyk(plain, profile) if plain.mode == "CMYK" else to_bytes(plain))
        pixels = pixels.reshape(*pixels.shape[:2], -1)
    fits = profile is not None and profile[_SPACE] == _SPACES[pixels.shape[2]]
    if profile and not fits and picture.mode not in _CONVERTED:
        changes.append("its colour profile was left out, which is not for the colours of its pixels")
    return Photo(name, place, pixels, alpha, profile if fits else None, changes)


def _changes(file: BinaryIO, picture: "Image.Image") -> Iterator[str]:
    """Yield what is lost as a picture is read with 8 bits a channel, in grey or RGB."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        yield f"only the first of {frames} frames was taken"
    if picture.mode in _CONVERTED:
        yield f"{picture.mode} was converted to RGB"
    if _depth(file, picture) > 8:
        yield "16 bits a channel were reduced to 8"
        if picture.mode.startswith("I") and picture.has_transparency_data:
            yield "its transparent colour became white"


def _depth(file: BinaryIO, picture: "Image.Image") -> int:
    """Return how many bits a channel of a PNG or a TIFF has; 8 for others."""
    if picture.format == "PNG":
        file.seek(_PNG_DEPTH)
        return file.read(1)[0]
    depths: tuple[int, ...] = getattr(picture, "tag_v2", {}).get(_TIFF_DEPTH, (8,))
    return max(depths)


def _without_alpha(picture: "Image.Image") -> "tuple[Picture | None, Image.Image]":
    """Return the transparency of a picture, if it has any, and the picture as if it were opaque."""
    if not picture.has_transparency_data or picture.mode.startswith("I"):  # `to_bytes` puts 16-bit grey on white
        return None, picture
    both = picture.convert("LA" if picture.mode in GREY else "RGBA")
    alpha: Picture = np.asarray(both.getchannel("A"))[:, :, None]
    return alpha, both.convert("L" if both.mode == "LA" else "RGB")


def _from_cmyk(picture: "Image.Image", profile: bytes | None) -> "Image.Image":
    """Return a CMYK picture in sRGB."""
    import io

    from PIL import ImageCms

    if profile is None:
        return picture.convert("RGB")
    given, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    made = ImageCms.profileToProfile(picture, given, srgb, outputMode="RGB")
    assert made is not None  # None is returned for inPlace=True only
    return made
