"""Reconstructs pictures one after the other, and writes each under the name of its source, in its size."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from genlab.applications.reconstruct import reconstruct
from genlab.core.device import device_of
from genlab.core.files import put, replace, storage
from genlab.core.pictures import png, resized, to_bytes
from genlab.core.table import Table
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, Originals, squashed_of, stacked
from genlab.data.progress import bar

SHOWN = 64  # pictures that are kept besides being written


@dataclass
class Done:
    """What has been reconstructed."""

    names: list[str] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)  # mean squared error per pixel in [-1, 1]
    rejected: list[Rejected] = field(default_factory=list)
    squashed: int = 0  # pictures whose aspect ratio is not the model's
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # originals and reconstructions that are kept


def reconstruct_each(
    model: nn.Module, given: Originals, seed: int | None, into: Path | None, *, progress: bool
) -> Done:
    """Reconstruct pictures, some at a time, and write each into the folder `into`.

    Without `into` all pictures are kept, else the first of them. With a seed, each reconstruction is from one draw
    of the posterior.

    Raises:
        GenlabError: the model does not reconstruct, or has no posterior to draw from.
        StorageError: the disk refused.
    """
    done = Done()
    with bar(progress) as shown:
        task = shown.add_task("reconstructing", total=given.count)
        for chunk in given.chunks(done.rejected):
            x = stacked(chunk)
            again, errors = reconstruct(model, x.to(device_of(model)), seed, first=len(done.names))
            again = again.cpu()
            if into:
                _write(chunk, again, into)
            done.squashed += squashed_of([each.size for each in chunk], given.modality.shape)
            kept = max(0, SHOWN - len(done.names)) if into else len(x)
            done.pairs += [(x[:kept], again[:kept])] if kept else []
            done.names += [original.name for original in chunk]
            done.errors += errors.tolist()
            shown.update(task, completed=len(done.names) + len(done.rejected))
    return done


def write_rows(path: Path, table: Table, done: Done) -> None:
    """Write a .csv with the name, the values and the mean squared error of each reconstructed row.

    Raises:
        StorageError: the disk refused.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(["row", *table.names(), "error"])
    cells = (row for _, again in done.pairs for row in table.texts(again))
    for name, row, error in zip(done.names, cells, done.errors, strict=True):
        lines.writerow([name, *row, f"{error:.7g}"])
    replace(path, text.getvalue().encode())


def _write(chunk: list[Original], reconstructions: Tensor, into: Path) -> None:
    for original, picture in zip(chunk, to_bytes(reconstructions), strict=True):
        path = into / original.file
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        put(path, png(resized(picture, *original.size) if original.size else picture))
