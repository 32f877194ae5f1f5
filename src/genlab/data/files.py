"""Opens a list of image files."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genlab.core.errors import DataError
from genlab.core.files import expanded
from genlab.core.text import printable
from genlab.data import split
from genlab.data.arrange import Arrange
from genlab.data.arrays import GIVEN, Asked
from genlab.data.dataset import IntArray, Rejected, Source
from genlab.data.labels import encode, label_array
from genlab.data.layout import Layout
from genlab.data.listing import Entry, Listing
from genlab.data.pictures import open_pictures
from genlab.data.stamp import stamp, too_new


@dataclass(frozen=True)
class _Listed:
    """A listing of given files, and where its entries stand in what was given."""

    listing: Listing
    at: IntArray  # of each entry


def open_files(
    name: str,
    files: Sequence[Sequence[str | os.PathLike[str]]],
    labels: Sequence[object],
    asked: Asked,
    max_rejected: float,
    cache: Path,
    progress: bool,
) -> Source:
    """Open the files of one or two lists, for training and held out, as the files of a folder are opened.

    Each list has labels or None in `labels`: one for each file that was given, even if it is rejected. A file is
    held out by its path below the folder that holds all files, as in that folder.

    Raises:
        DataError: unreadable files above the share `max_rejected`, or labels that do not fit.
    """
    paths = [expanded(path).absolute() for part in files for path in part]
    listed = _listed(paths)
    if too_new(listed.listing.newest):
        listed = _listed(paths)
    classes, codes = _classes(files, labels, asked.classes)
    second = np.arange(len(paths)) >= len(files[0]) if len(files) == 2 else None

    def lay_out(accepted: Sequence[int]) -> Layout:
        rows = listed.at[np.asarray(accepted)]
        names = [listed.listing.entries[position].path for position in accepted]
        out, rule = (split.held_out(names), split.RULE) if second is None else (second[rows], GIVEN)
        if out.all() or not out.any():
            raise DataError(f"{name}: no readable picture for {'training' if out.all() else 'held_out'}.")
        return Layout(None if codes is None else codes[rows], classes, out, rule, "as given")

    depends = [listed.at.tobytes(), b"" if codes is None else codes.tobytes(), repr(classes).encode()]
    depends += [str([len(part) for part in files]).encode()]
    arrange = Arrange(lay_out, hashlib.sha256(b"\0".join(depends)).hexdigest())
    source = open_pictures(
        name, listed.listing, asked.size, asked.channels, max_rejected, cache, progress, arrange
    )
    return replace(source, notes={**source.notes, "counted": "the files that were given"})


def _listed(paths: Sequence[Path]) -> _Listed:
    root = Path(os.path.commonpath([path.parent for path in paths]))
    entries, rejected, at = [], [], []
    for position, path in enumerate(paths):
        relative = path.relative_to(root).as_posix()
        try:
            about = path.stat()
        except OSError as error:
            rejected.append(Rejected(printable(str(path)), f"cannot be read: {error.strerror}"))
            continue
        if not stat.S_ISREG(about.st_mode):
            kind = "a folder: give its path alone" if path.is_dir() else "not a file"
            rejected.append(Rejected(printable(str(path)), kind))
            continue
        entries.append(Entry(relative, stamp(about)))
        at.append(position)
    listing = Listing(str(root.resolve()), entries, rejected, lambda at: (root / entries[at].path).open("rb"))
    return _Listed(listing, np.asarray(at, dtype=np.int64))


def _classes(
    files: Sequence[Sequence[object]], labels: Sequence[object], names: Sequence[str] | None
) -> tuple[tuple[str, ...], IntArray | None]:
    """Return the names of the classes, and the class of each file of all lists."""
    whats = ["the label array of the data", "the label array of the held_out"][: len(files)]
    given = [label_array(its, what) for its, what in zip(labels, whats, strict=True) if its is not None]
    if not given:
        return (), None
    if len(given) < len(files):
        raise DataError("only one of data and held_out has labels: give both as (files, labels), or neither.")
    classes, codes = encode(given, [len(part) for part in files], whats, names)
    return classes, np.concatenate(codes)
