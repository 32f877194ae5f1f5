"""Stylizes pictures one after the other, and writes each under the name of its source, in its size."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from genlab.applications.stylize import Stylizer
from genlab.core.errors import UsageError
from genlab.core.files import put, storage
from genlab.core.pictures import Picture, png, resized, to_bytes
from genlab.core.text import printable
from genlab.data.dataset import Rejected
from genlab.data.decode import decode, reason, strict
from genlab.data.fit import Whole
from genlab.data.listing import Listing
from genlab.data.originals import file_names
from genlab.data.progress import bar

SHOWN = 64  # pictures that are kept besides being written
PROBE = Whole(8, 8)


@dataclass
class Done:
    """What has been stylized."""

    names: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    reduced: int = 0  # pictures that were too large, and were stylized smaller
    pictures: list[Picture] = field(default_factory=list)  # the first results, in their own sizes


def stylize_each(
    stylizer: Stylizer, contents: Listing, style: Tensor, side: int, channels: int, into: Path | None
) -> Done:
    """Stylize pictures, and write each into the folder `into` if there is one.

    Args:
        stylizer: what to do with a picture.
        contents: the pictures.
        style: (1, C, H, W) in [-1, 1].
        side: the longer side at which larger pictures are stylized; the results have the size of the contents.
        channels: of the pictures that the stylizer takes.
        into: a folder.

    Raises:
        StorageError: the disk refused.
    """
    done = Done(rejected=list(contents.rejected))
    files = file_names([printable(entry.path) for entry in contents.entries])
    with bar(show=True) as shown, strict():
        task = shown.add_task("stylizing", total=len(files) * stylizer.steps)
        for at, (entry, file) in enumerate(zip(contents.entries, files, strict=True)):
            name = printable(entry.path)
            try:
                pixels, size = read(contents, at, side, channels)
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                done.rejected.append(Rejected(name, reason(error)))
                continue
            made = stylizer(pixels, style, partial(shown.advance, task))
            picture = resized(to_bytes(made)[0], *size)
            if into:
                with storage(into / file):
                    (into / file).parent.mkdir(parents=True, exist_ok=True)
                put(into / file, png(picture))
            done.reduced += pixels.shape[2:] != size
            done.names.append(name)
            done.pictures += [picture] if len(done.pictures) < SHOWN else []
    return done


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
