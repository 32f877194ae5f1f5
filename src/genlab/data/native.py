"""Finds the original sizes of pictures, before resizing."""

import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from genlab.core.errors import DataError
from genlab.core.files import expanded
from genlab.core.parts import registered
from genlab.data.archive import list_zip
from genlab.data.arrange import by_folders
from genlab.data.dataset import Source
from genlab.data.decode import read_header, strict
from genlab.data.fit import CHANNELS
from genlab.data.idx import holds_idx
from genlab.data.listing import Listing, list_folder
from genlab.data.npz import images_header
from genlab.data.objects import as_source
from genlab.data.source import ARRAYS, NAMES

Sizes: TypeAlias = Mapping[tuple[int, int], int]
"""How many pictures there are of each height and width."""

_NOTE = re.compile(r"(\d+)x(\d+)")  # in the notes of a source: width and height of all


def native_sizes(source: str) -> Sizes | None:
    """Return the sizes of the pictures in a folder, a zip, an .npz or arrays given in Python.

    None for a built-in name, and if no picture can be read: opening the source will say what is wrong.
    """
    if source in registered("data"):
        return _of_note(as_source(source))
    path = expanded(source)
    if source in NAMES or not path.exists():
        return None
    if path.suffix in ARRAYS and path.is_file():
        return _of_arrays(path)
    if path.is_dir() and not holds_idx(path):
        return _of_files(list_folder(path))
    if path.is_file() and zipfile.is_zipfile(path):
        with list_zip(path) as listing:
            return _of_files(listing)
    return None


def not_square(sizes: Sizes | None) -> int:
    """Return how many pictures are not square."""
    return sum(count for (height, width), count in (sizes or {}).items() if height != width)


def _of_files(listing: Listing) -> Sizes | None:
    found: dict[int, tuple[int, int]] = {}
    with strict():
        for position in range(len(listing.entries)):
            try:
                with listing.open(position) as file:
                    header = read_header(file)
            except Exception:
                continue
            found[position] = header.height, header.width
    try:
        without_class = by_folders(listing).unplaced(list(found))
    except DataError:  # a damaged dataset.json
        return None
    for position in without_class:
        del found[position]
    return Counter(found.values()) or None


def _of_arrays(path: Path) -> Sizes | None:
    try:
        shape = images_header(path).shape
    except DataError:
        return None
    # (N, H, W), (N, H, W, C) or (N, C, H, W), where C is 1 or 3
    sides = shape[1:] if len(shape) == 3 else shape[1:3] if shape[-1] in CHANNELS else shape[2:]
    return {(int(sides[0]), int(sides[1])): shape[0]} if len(sides) == 2 else None


def _of_note(source: Source) -> Sizes | None:
    said = _NOTE.fullmatch(source.notes.get("native size", ""))
    return {(int(said[2]), int(said[1])): source.total} if said else None
