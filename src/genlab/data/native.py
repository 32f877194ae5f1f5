"""Finds the original size of pictures, before resizing."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from genlab.core.errors import DataError
from genlab.core.parts import registered
from genlab.data.archive import list_zip
from genlab.data.decode import read_header, strict
from genlab.data.idx import holds_idx
from genlab.data.listing import Listing, list_folder
from genlab.data.npz import images_header
from genlab.data.source import ARRAYS, NAMES

_HEIGHT_AND_WIDTH = slice(1, 3)


def native_sides(source: str) -> tuple[int, int] | None:
    """Return the least and the greatest shorter side of the pictures in a folder, a zip or an .npz.

    None for a named source, and if no picture can be read: opening the source will say what is wrong.
    """
    path = Path(source).expanduser()
    if source in NAMES or source in registered("data") or not path.exists():
        return None
    if path.suffix in ARRAYS and path.is_file():
        return _of_arrays(path)
    if path.is_dir() and not holds_idx(path):
        return _extremes(_of_files(list_folder(path)))
    if path.is_file() and zipfile.is_zipfile(path):
        with list_zip(path) as listing:
            return _extremes(_of_files(listing))
    return None


def _of_files(listing: Listing) -> Iterator[int]:
    with strict():
        for position in range(len(listing.entries)):
            try:
                with listing.open(position) as file:
                    header = read_header(file)
            except Exception:
                continue
            yield min(header.width, header.height)


def _of_arrays(path: Path) -> tuple[int, int] | None:
    try:
        shape = images_header(path).shape
    except DataError:
        return None
    # (N, H, W), (N, H, W, C) or (N, C, H, W), where C is the smallest
    sides = shape[1:] if len(shape) == 3 else sorted(shape[1:])[_HEIGHT_AND_WIDTH]
    return _extremes([min(sides)] if len(sides) == 2 else [])


def _extremes(sides: "Iterator[int] | list[int]") -> tuple[int, int] | None:
    every = list(sides)
    return (min(every), max(every)) if every else None
