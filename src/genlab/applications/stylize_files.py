"""Stylizes pictures one after the other, and writes each under the name of its source, in its size."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.applications.picture_folder import write_picture
from genlab.applications.rows import Rows
from genlab.applications.stylize import Stylizer
from genlab.core.errors import UsageError
from genlab.core.pictures import Picture, resized, to_bytes
from genlab.core.text import printable
from genlab.data.dataset import Rejected
from genlab.data.decode import decode, reason, strict
from genlab.data.fit import Whole
from genlab.data.listing import Listing
from genlab.data.originals import file_names
from genlab.data.progress import bar

SHOWN = 64  # pictures that are kept besides being written
PROBE = Whole(8, 8)
COLUMNS = ("reduced", "first", "last")  # of a picture, until a folder is complete: whether it was, and its losses


@dataclass
class Done:
    """What has been stylized."""

    names: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    reduced: int = 0  # pictures that were too large, and were stylized smaller
    losses: list[tuple[float, float]] = field(
        default_factory=list
    )  # the first and the last, if pixels are optimised
    pictures: list[Picture] = field(default_factory=list)  # the first results, in their own sizes


def stylize_each(
    stylizer: Stylizer,
    contents: Listing,
    style: Tensor,
    side: int,
    channels: int,
    into: Path | None,
    rows: Rows | None,
) -> Done:
    """Stylize pictures, and write each that has no row yet into the folder `into` if there is one.

    Args:
        stylizer: what to do with a picture.
        contents: the pictures.
        style: (1, C, H, W) in [-1, 1].
        side: the longer side at which larger pictures are stylized; the results have the size of the contents.
        channels: of the pictures that the stylizer takes.
        into: a folder.
        rows: of the pictures in it.

    Raises:
        StorageError: the disk refused.
    """
    done = Done(rejected=list(contents.rejected))
    names = [printable(entry.path) for entry in contents.entries]
    files, there = dict(zip(names, file_names(names), strict=True)), set(rows.names) if rows else set()
    with bar(show=True) as shown, strict():
        task = shown.add_task(
            "stylizing", total=len(files) * stylizer.steps, completed=len(there) * stylizer.steps
        )
        for at, name in enumerate(names):
            if name in there:
                continue
            try:
                pixels, size = read(contents, at, side, channels)
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                done.rejected.append(Rejected(name, reason(error)))
                continue
            made = stylizer(pixels, style, partial(shown.advance, task))
            picture, reduced = resized(to_bytes(made)[0], *size), pixels.shape[2:] != size
            losses = stylizer.losses[-1] if stylizer.losses else ()
            if into and rows:
                write_picture(into / files[name], picture, None)
                values = [reduced, *(losses or (np.nan, np.nan))]
                rows.add([name], [None], np.array([values], np.float32))
                continue
            done.names.append(name)
            done.reduced += reduced
            done.losses += [losses] if losses else []
            done.pictures.append(picture)
    if into and rows:
        _take(done, rows, [into / files[name] for name in rows.names[:SHOWN]])
    return done


def _take(done: Done, rows: Rows, paths: Sequence[Path]) -> None:
    """Take what has been done from the rows of a folder, and the first pictures from their files."""
    from PIL import Image

    values = rows.values
    done.names, done.reduced = list(rows.names), int(values[:, 0].sum())
    done.losses = [(first, last) for _, first, last in values.tolist() if np.isfinite(last)]
    for path in paths:
        with Image.open(path) as image:
            done.pictures.append(np.array(image).reshape(image.height, image.width, -1))


def read(listing: Listing, at: int, side: int, channels: int) -> tuple[Tensor, tuple[int, int]]:
    """Return a picture (1, C, H, W) in [-1, 1], its longer side at most `side`, and its own height and width.

    Raises what Pillow raises if it is none.
    """
    with listing.open(at) as file:
        size = decode(file, PROBE, channels).size
    scale = min(1, side / max(size))
    fitted = Whole(*(max(round(scale * length), 1) for length in size))
    with listing.open(at) as file:
        array = decode(file, fitted, channels).array
    return torch.from_numpy(array.copy())[None].float() / 127.5 - 1, size


def read_style(listing: Listing, side: int, channels: int) -> Tensor:
    """Return the picture of a style (1, C, H, W) in [-1, 1], its longer side at most `side`.

    Raises:
        UsageError: the listing is not that of one picture.
    """
    with strict():
        try:
            return read(listing, 0, side, channels)[0]
        except Exception as error:  # as above
            name = printable(listing.entries[0].path)
            raise UsageError(
                f"the style {name} cannot be read: {reason(error)}. Choose another picture."
            ) from None
