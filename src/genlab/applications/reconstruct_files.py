"""Reconstructs pictures one after the other, and writes each under the name of its source, in its size."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from genlab.applications.picture_folder import unfinished, write_picture
from genlab.applications.reconstruct import reconstruct
from genlab.applications.rows import Rows
from genlab.core.device import device_of
from genlab.core.files import replace
from genlab.core.pictures import to_bytes
from genlab.core.table import Table
from genlab.data.dataset import Rejected
from genlab.data.originals import Originals, squashed_of, stacked
from genlab.data.progress import bar

COLUMNS = ("error", "squashed")  # of the rows that are kept until a folder is complete
SHOWN = 64  # pictures that are kept besides being written


@dataclass
class Done:
    """What has been reconstructed."""

    names: list[str] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)  # mean squared error per pixel in [-1, 1]
    rejected: list[Rejected] = field(default_factory=list)
    squashed: int = 0  # pictures whose aspect ratio is not the model's
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # originals and reconstructions that are kept


def reconstruct_each(model: nn.Module, given: Originals, seed: int | None, *, progress: bool) -> Done:
    """Reconstruct examples, some at a time, and keep them all.

    With a seed, each reconstruction is from one draw of the posterior.

    Raises:
        GenlabError: the model does not reconstruct, or has no posterior to draw from.
    """
    done = Done()
    with bar(progress) as shown:
        task = shown.add_task("reconstructing", total=given.count)
        for chunk in given.chunks(done.rejected):
            x = stacked(chunk)
            again, errors = reconstruct(model, x.to(device_of(model)), seed, first=len(done.names))
            done.squashed += squashed_of([each.size for each in chunk], given.modality.shape)
            done.pairs.append((x, again.cpu()))
            done.names += [original.name for original in chunk]
            done.errors += errors.tolist()
            shown.update(task, completed=len(done.names) + len(done.rejected))
    return done


def reconstruct_into(
    into: Path, rows: Rows, model: nn.Module, given: Originals, seed: int | None, *, progress: bool
) -> Done:
    """Reconstruct pictures as `reconstruct_each`, write each that has no row yet, and keep only the first ones.

    Raises:
        GenlabError: as `reconstruct_each`.
        StorageError: the disk refused.
    """
    done, shape = Done(), given.modality.shape
    with bar(progress) as shown:
        task = shown.add_task("reconstructing", total=given.count, completed=len(rows.names))
        for at, chunk in unfinished(given, rows, SHOWN, done.rejected):
            x = stacked(chunk)
            again, errors = (each.cpu() for each in reconstruct(model, x.to(device_of(model)), seed, first=at))
            kept, there = max(0, SHOWN - at), max(0, len(rows.names) - at)
            done.pairs += [(x[:kept], again[:kept])] if kept else []
            for original, picture in zip(chunk[there:], to_bytes(again[there:]), strict=True):
                write_picture(into / original.file, picture, original.size)
            squashed = [squashed_of([original.size], shape) for original in chunk]
            numbers = np.stack([errors.numpy(), squashed], 1)[there:]
            rows.add([each.name for each in chunk[there:]], [each.label for each in chunk[there:]], numbers)
            shown.update(task, completed=len(rows.names) + len(done.rejected))
    done.names, done.errors = list(rows.names), rows.values[:, 0].tolist()
    done.squashed = int(rows.values[:, 1].sum())
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
