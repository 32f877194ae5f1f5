"""A picture of the first results: a row of pictures for each, which a killed command finds again."""

import io
from collections.abc import Mapping

import numpy as np

from genlab.applications.rows import Rows
from genlab.core.files import put
from genlab.core.pictures import Picture, table

SHOWN, SIDE = 8, 256  # rows, and the height and width of a picture at most
HEADING = 64  # pixels that the name of a column needs


def show(rows: Rows, at: int, pictures: Mapping[str, Picture]) -> None:
    """Keep the pictures of the example at a position, by the names of their columns, until the table is complete.

    Raises:
        StorageError: the disk refused.
    """
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **pictures)
    put(rows.part / f"shown-{at}.npz", stream.getvalue())


def sheet(rows: Rows) -> Picture | None:
    """Return the pictures of the first examples in rows, with the columns of the first one; None without any."""
    found: list[dict[str, Picture]] = []
    for at in range(min(SHOWN, len(rows.names))):
        with np.load(rows.part / f"shown-{at}.npz", allow_pickle=False) as file:
            found.append(dict(file))
    alike = [list(row.values()) for row in found if row.keys() == found[0].keys()]
    return table(alike, list(found[0])) if alike else None


def middle(picture: Picture) -> Picture:
    """Return the middle of a picture, enlarged by a whole number if a heading would not fit above it."""
    top, left = (max(0, length - SIDE) // 2 for length in picture.shape[:2])
    times = -(-HEADING // picture.shape[1])
    return picture[top : top + SIDE, left : left + SIDE].repeat(times, 0).repeat(times, 1)
