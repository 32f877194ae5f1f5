"""A folder of pictures that are written as they are made; a killed command goes on where it was.

Until the folder is complete, `NAME.part` beside it holds what the pictures depend on, and a row for each that is
there.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genlab.applications.rows import Rows, part_of, rows
from genlab.core.files import put, refuse_filled, storage
from genlab.core.pictures import Picture, png, resized
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, Originals


def refuse_finished(folder: Path) -> None:
    """Refuse a folder that is not empty, unless a command was interrupted that was filling it.

    Raises:
        UsageError: there is something, or a file.
        StorageError: it cannot be read.
    """
    if not part_of(folder).exists():
        refuse_filled(folder)


@contextmanager
def filling(folder: Path, columns: Sequence[str], request: Mapping[str, Any]) -> Iterator[Rows]:
    """Yield the rows of the pictures that a killed command of the same `request` has written, or none.

    The rows are removed at the end, unless there is an error.

    Args:
        folder: of the pictures.
        columns: numbers that are kept of each picture.
        request: as of `rows`.

    Raises:
        UsageError: the folder holds something else, or the pictures of another request.
        StorageError: the disk refused.
    """
    refuse_finished(folder)
    with rows(folder, columns, request) as found:
        yield found
        found.remove()


def unfinished(
    given: Originals, rows: Rows | None, shown: int, rejected: list[Rejected], most: int | None = None
) -> Iterator[tuple[int, list[Original]]]:
    """Yield examples in the chunks of an uninterrupted command: the position of the first of each, and the chunk.

    Left out are those that have a row, but for the first `shown`, which are made again to be shown.
    """
    there, size, at = rows.names if rows else [], given.at_once(most), 0
    again = math.ceil(shown / size) * size
    for chunk in given.chunks(rejected, done=set(there[again:]), most=most):
        yield at, chunk
        at += len(chunk)
        if at >= again:
            at = max(at, len(there))


def write_picture(path: Path, picture: Picture, size: tuple[int, int] | None) -> None:
    """Write a picture as a PNG, in its own height and width if these are given.

    Raises:
        StorageError: the disk refused.
    """
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    put(path, png(resized(picture, *size) if size else picture))
