"""Reads pictures one after the other, each in its own size; of a GIF each frame, with its time."""

import os
import zipfile
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from genlab.core.modality import Images, Modality
from genlab.core.parts import registered
from genlab.core.pictures import to_bytes
from genlab.core.text import printable
from genlab.data.archive import list_zip
from genlab.data.dataset import Array, Rejected
from genlab.data.decode import Shown, decode, decode_frames, reason, strict
from genlab.data.items import is_array
from genlab.data.listing import Listing
from genlab.data.originals import file_names
from genlab.data.read import list_pictures, read_images


@dataclass(frozen=True)
class Frame:
    """A picture, or a frame of a GIF."""

    name: str  # its path relative to the folder, or its position; of a GIF with the number of the frame
    file: str  # where what is made of it belongs, a relative path that ends in .png or .gif
    pixels: Array  # uint8 (C, H, W)
    shown: Shown | None = None  # of the frames of a GIF
    last: bool = True  # of its file


@dataclass(frozen=True)
class Frames:
    """Pictures that can be read one after the other; what is no picture is yielded as rejected."""

    title: str  # in the names of files
    count: int  # of files
    read: Callable[[Container[str]], Iterator[Frame | Rejected]]  # all but the files of some names
    stamp: str = ""  # changes with what is read

    def __iter__(self) -> Iterator[Frame | Rejected]:
        """Read each picture."""
        return self.read(())


@contextmanager
def frames_of(given: object, modality: Modality) -> Iterator[Frames]:
    """Yield pictures of any size, with the channels of `modality`.

    Args:
        given: a picture, a folder or a zip of pictures; the name of data of one's own, or an array, both as
            `read_images` takes them, where the images of an array may have any size.
        modality: of the images that a model takes.

    Raises:
        UsageError: there is nothing at a path, or the images do not have the channels of the model.
        DataError: a zip that is not intact.
    """
    if is_array(given) or not isinstance(given, str | os.PathLike) or os.fspath(given) in registered("data"):
        read = read_images(given, _of_own_size(given, modality))
        yield Frames(
            read.title, len(read.names), lambda done: _of_images(read.names, read.images, done), read.title
        )
        return
    path, channels = Path(given), modality.shape[0]
    if path.is_file() and zipfile.is_zipfile(path):
        with list_zip(path) as listing:
            yield _frames(path, listing, channels)
    else:
        yield _frames(path, list_pictures(path, modality), channels)


def _frames(path: Path, listing: Listing, channels: int) -> Frames:
    title = path.stem or "pictures"
    return Frames(title, listing.total, lambda done: _of_files(listing, channels, done), listing.digest())


def _of_own_size(given: object, modality: Modality) -> Modality:
    """Return a modality with the size of the images in an array (N, C, H, W), (N, H, W, C) or (N, H, W)."""
    shape = tuple(getattr(given, "shape", ()))
    if not isinstance(modality, Images) or len(shape) not in (3, 4):
        return modality
    first = len(shape) == 4 and (shape[1] == modality.channels or shape[3] != modality.channels)
    height, width = shape[2:] if first else shape[1:3]
    return replace(modality, height=int(height), width=int(width))


def _of_images(names: Sequence[str], images: Tensor, done: Container[str]) -> Iterator[Frame]:
    for at, (name, image) in enumerate(zip(names, images, strict=True)):
        if name in done:
            continue
        yield Frame(name, f"{at:06d}.png", np.moveaxis(to_bytes(image[None])[0], 2, 0))


def _of_files(listing: Listing, channels: int, done: Container[str]) -> Iterator[Frame | Rejected]:
    yield from listing.rejected
    names = [printable(entry.path) for entry in listing.entries]
    for at, (name, file) in enumerate(zip(names, file_names(names, kept=(".gif",)), strict=True)):
        if name in done:
            continue
        try:
            with strict(), listing.open(at) as opened:
                read = list(_frames_in(opened, name, file, channels))
        except Exception as error:  # for damaged files Pillow's plugins raise almost any type
            yield Rejected(name, reason(error))
        else:
            yield from read


def _frames_in(opened: BinaryIO, name: str, file: str, channels: int) -> Iterator[Frame]:
    if not file.endswith(".gif"):
        yield Frame(name, file, decode(opened, None, channels).array)
        return
    frames = decode_frames(opened, channels)
    names = frame_names(name, len(frames))
    for own, (pixels, shown) in zip(names, frames, strict=True):
        yield Frame(own, file, pixels, shown, last=own == names[-1])


def frame_names(name: str, count: int) -> list[str]:
    """Return the names of the frames of a GIF."""
    return [f"{name}, frame {number}" for number in range(1, count + 1)]
