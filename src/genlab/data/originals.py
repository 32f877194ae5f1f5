"""Reads examples one after the other as inputs of a model: pictures whole and with their own size."""

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import at_once
from genlab.core.errors import DataError, UsageError
from genlab.core.files import expanded
from genlab.core.modality import Modality
from genlab.core.parts import registered
from genlab.core.table import Table
from genlab.core.text import printable
from genlab.data.archive import list_zip
from genlab.data.arrange import by_folders
from genlab.data.dataset import Rejected, Split, names_of
from genlab.data.decode import decode, reason, strict
from genlab.data.fit import Whole
from genlab.data.idx import holds_idx
from genlab.data.items import is_array
from genlab.data.listing import Listing
from genlab.data.read import Read, held_out_of, list_pictures, read_images
from genlab.data.source import ARRAYS, is_name
from genlab.data.tables import row_name
from genlab.data.tables_files import is_frame, is_table
from genlab.data.tables_inputs import check_columns, find_table, inputs


@dataclass(frozen=True)
class Original:
    """An example as an input of a model."""

    name: str  # its path relative to the folder, or its position
    file: str  # where what is made of it belongs, a relative path that ends in .png
    pixels: Tensor  # (C, H, W) in [-1, 1], in the size of the model unless so asked; (*shape) of other data
    size: tuple[int, int] | None  # its own height and width; None if they are those of the model
    label: str | None = None  # its class, if the folders or the data tell


@dataclass(frozen=True)
class Originals:
    """Examples that can be read one after the other; what is no picture is yielded as rejected."""

    title: str  # in the names of files
    count: int  # of files
    modality: Modality  # of the model
    stamp: str  # changes with what is read
    read: Callable[[Container[str]], Iterator[Original | Rejected]]  # all but those of some names
    held_out: bool = False  # whether they are the part of data that is held out from training

    def __iter__(self) -> Iterator[Original | Rejected]:
        """Read each example."""
        return self.read(())

    def at_once(self, most: int | None = None) -> int:
        """Return how many examples fit into memory at a time, and at most `most`."""
        fitting = at_once(self.modality.shape)
        return fitting if most is None else min(most, fitting)

    def chunks(
        self, rejected: list[Rejected], done: Container[str] = (), most: int | None = None
    ) -> Iterator[list[Original]]:
        """Yield as many examples at a time as fit into memory, or `most`, and add what is none to `rejected`.

        Examples whose names are in `done` are left out without being read.
        """

        def examples() -> Iterator[Original]:
            for item in self.read(done):
                if isinstance(item, Rejected):
                    rejected.append(item)
                else:
                    yield item

        each, size = examples(), self.at_once(most)
        while chunk := list(islice(each, size)):
            yield chunk


def stacked(chunk: Sequence[Original]) -> Tensor:
    """Return examples as a batch (B, *shape)."""
    return torch.stack([each.pixels for each in chunk])


def squashed_of(sizes: Iterable[tuple[int, int] | None], shape: Sequence[int]) -> int:
    """Return how many heights and widths have another aspect ratio than the shape of a model's pictures."""
    *_, height, width = (1, 1, *shape)
    return sum(size[0] * width != size[1] * height for size in sizes if size)


@contextmanager
def originals(
    given: object, modality: Modality, *, squash: bool = True, label: str | None = None
) -> Iterator[Originals]:
    """Yield examples for a model of `modality`.

    A picture that has other sides is squashed to the shape of the model, unless `squash` is False: then the
    pictures of a folder, a zip or a file keep their own sizes. Nothing is cropped.

    Args:
        given: a picture, a folder or a zip of pictures, whose folders are classes; whatever else can be trained
            on (an `.npz`, IDX files, a name), of which the held-out part is taken; all rows of a table, in a file
            or a data frame; or an array as `read_images` takes it.
        modality: of the model.
        squash: whether pictures get the size of the model.
        label: the column of a table that holds the classes; by default that with which the model was trained,
            or else that which the file names.

    Raises:
        UsageError: there is nothing at a path, or the examples do not have the shape of the model.
        DataError: data that cannot be used as they are.
    """
    if isinstance(modality, Table) and not is_array(given):
        yield _of_table(given, modality, label)
        return
    if label is not None:
        raise UsageError(
            f"--label {label} is for rows of a table, and this model is of {modality.noun}. Leave it out."
        )
    if is_array(given) or not isinstance(given, str | os.PathLike):
        yield _of_read(read_images(given, modality), modality)
        return
    path = expanded(given)
    if is_table(path):
        raise UsageError(f"{path} is a table, but this model was trained on {modality.noun}")
    if _is_data(os.fspath(given), path):
        part = of_split(Path(given).stem or "data", held_out_of(os.fspath(given), modality))
        yield replace(part, held_out=True)
    elif path.is_file() and zipfile.is_zipfile(path):
        with list_zip(path) as listing:
            yield _of_listing(path, listing, modality, squash=squash)
    else:
        yield _of_listing(path, list_pictures(path, modality), modality, squash=squash)


def _of_table(given: object, table: Table, label: str | None) -> Originals:
    """Return the rows of a file or a data frame; of other data of one's own, those that are held out."""
    mine = registered("data").get(os.fspath(given)) if isinstance(given, str | os.PathLike) else None
    if mine is not None and not is_frame(mine.value):
        return of_split(mine.name, held_out_of(mine.name, table))
    raw, title, stamp = find_table(given if mine is None else mine.value)
    label = check_columns(raw, table, label)

    def read(done: Container[str]) -> Iterator[Original | Rejected]:
        for row in inputs(raw, table, done, label):
            if isinstance(row, Rejected):
                yield row
            else:
                at, entries, own = row
                yield Original(row_name(at), f"{at:06d}.png", torch.from_numpy(entries), None, own)

    return Originals(title, raw.count, table, stamp, read)


def _is_data(name: str, path: Path) -> bool:
    """Return whether a name or path is opened as for training, not as single pictures."""
    return (
        is_name(name) or name in registered("data") or path.suffix in ARRAYS or (path.is_dir() and holds_idx(path))
    )


def _of_read(given: Read, modality: Modality) -> Originals:
    def read(done: Container[str]) -> Iterator[Original]:
        for at, (name, image) in enumerate(zip(given.names, given.images, strict=True)):
            if name not in done:
                yield Original(name, f"{at:06d}.png", image, None)

    return Originals(given.title, len(given.names), modality, given.title, read)


def of_split(title: str, split: Split) -> Originals:
    """Return the examples of a split; their names are those of their files, or else their positions."""
    classes, modality = split.spec.class_names, split.spec.target

    def read(done: Container[str]) -> Iterator[Original]:
        names = names_of(split)
        wanted = np.array([at for at in range(len(split)) if names[at] not in done], dtype=np.int64)
        for start in range(0, len(wanted), at_once(modality.shape)):
            rows = wanted[start : start + at_once(modality.shape)]
            labels = [None] * len(rows) if split.labels is None else [classes[row] for row in split.labels[rows]]
            for at, x, label in zip(rows.tolist(), split.batch(rows).x, labels, strict=True):
                yield Original(names[at], f"{at:06d}.png", x, None, label)

    return Originals(title, len(split), modality, split.fingerprint, read)


def _of_listing(path: Path, listing: Listing, modality: Modality, *, squash: bool) -> Originals:
    channels, height, width = modality.shape
    fitted = Whole(height, width) if squash else None
    labels = _labels(listing)

    def read(done: Container[str]) -> Iterator[Original | Rejected]:
        yield from listing.rejected
        files = file_names([printable(entry.path) for entry in listing.entries])
        for at, (entry, name) in enumerate(zip(listing.entries, files, strict=True)):
            shown = printable(entry.path)
            if shown in done:
                continue
            try:
                with strict(), listing.open(at) as file:
                    array, size = decode(file, fitted, channels)
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                yield Rejected(shown, reason(error))
            else:
                pixels = torch.from_numpy(array.copy()).float() / 127.5 - 1
                yield Original(shown, name, pixels, size, labels.get(at))

    return Originals(path.stem or "pictures", listing.total, modality, listing.digest(), read)


def _labels(listing: Listing) -> dict[int, str]:
    """Return the class of each picture by its position; none if the folders do not tell."""
    arrange, everything = by_folders(listing), range(len(listing.entries))
    strays = set(arrange.unplaced(everything))
    placed = [at for at in everything if at not in strays]
    if not placed:
        return {}
    with suppress(DataError):
        layout = arrange.lay_out(placed)
        if layout.labels is not None:
            return {at: layout.classes[label] for at, label in zip(placed, layout.labels.tolist(), strict=True)}
    return {}


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
