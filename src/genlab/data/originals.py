"""Reads pictures one after the other as inputs of a model: whole, and with their own size."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from genlab.core.modality import Modality
from genlab.core.parts import registered
from genlab.core.text import printable
from genlab.data.dataset import Rejected
from genlab.data.decode import decode, reason, strict
from genlab.data.fit import Whole
from genlab.data.items import is_array
from genlab.data.listing import Listing
from genlab.data.read import Read, list_pictures, read_images


@dataclass(frozen=True)
class Original:
    """A picture as an input of a model."""

    name: str  # its path relative to the folder, or its position
    file: str  # where its reconstruction belongs, a relative path that ends in .png
    pixels: Tensor  # (C, H, W) in [-1, 1], in the size of the model
    size: tuple[int, int] | None  # its own height and width; None if they are those of the model


@dataclass(frozen=True)
class Originals:
    """Pictures that can be read one after the other; what is no picture is yielded as rejected."""

    title: str  # in the names of files
    count: int  # of files
    source: Listing | Read
    modality: Modality

    def __iter__(self) -> Iterator[Original | Rejected]:
        """Read each picture."""
        return self._of_files(self.source) if isinstance(self.source, Listing) else self._of_images(self.source)

    def _of_files(self, listing: Listing) -> Iterator[Original | Rejected]:
        channels, height, width = self.modality.shape
        yield from listing.rejected
        files = file_names([printable(entry.path) for entry in listing.entries])
        for at, (entry, name) in enumerate(zip(listing.entries, files, strict=True)):
            shown = printable(entry.path)
            try:
                with strict(), listing.open(at) as file:
                    array, size = decode(file, Whole(height, width), channels)
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                yield Rejected(shown, reason(error))
            else:
                yield Original(shown, name, torch.from_numpy(array.copy()).float() / 127.5 - 1, size)

    def _of_images(self, given: Read) -> Iterator[Original | Rejected]:
        for at, (name, image) in enumerate(zip(given.names, given.images, strict=True)):
            yield Original(name, f"{at:06d}.png", image, None)


def originals(given: object, modality: Modality) -> Originals:
    """Return pictures for a model of `modality`, as `read_images` does, except that files are read whole.

    A picture that has other sides is squashed to the shape of the model; nothing is cropped.

    Raises:
        UsageError: there is nothing at a path, or the images do not have the shape of the model.
    """
    if is_array(given) or not isinstance(given, str | PathLike) or fspath(given) in registered("data"):
        read = read_images(given, modality)
        return Originals(read.title, len(read.names), read, modality)
    listing = list_pictures(Path(given), modality)
    return Originals(Path(given).stem or "pictures", len(listing.entries), listing, modality)


def file_names(names: Sequence[str], kept: Sequence[str] = ()) -> list[str]:
    """Return a .png for each relative path: `a/b.png` for `a/b.jpg`, or `a/b.jpg.png` if `a/b.gif` is there.

    Paths that end in one of the suffixes `kept` keep it.
    """
    ends = [end if (end := PurePosixPath(name).suffix.lower()) in kept else ".png" for name in names]
    plain = [str(PurePosixPath(name).with_suffix(end)) for name, end in zip(names, ends, strict=True)]
    wanted, taken, found = Counter(map(str.casefold, plain)), set(), []
    for name, own, end in zip(plain, names, ends, strict=True):
        file = name if wanted[name.casefold()] == 1 else f"{own}{end}"
        while file.casefold() in taken:
            file += end
        taken.add(file.casefold())
        found.append(file)
    return found
