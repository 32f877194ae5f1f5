"""Synthetic rows of a table, written as they would stand in its file."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from genlab.applications.rows import Numbers, rows
from genlab.applications.sample import able, chunks, stream
from genlab.core.condition import Condition
from genlab.core.table import Table

AT_ONCE = 1000  # rows that are made and written at a time


def sample_table(
    model: nn.Module,
    table: Table,
    classes: Sequence[str],
    path: Path,
    number: int,
    seed: int,
    turns: Condition,
    request: Mapping[str, Any],
    *,
    progress: bool,
) -> tuple[Tensor, int]:
    """Write `number` rows to a .csv with the header, the types and the decimals of the training table.

    A killed command goes on where it was; a row depends only on the seed and its position. The labels are written
    if the model is conditioned on them.

    Returns:
        The entries (B, D) of the first rows, for a picture, and how many rows were there already.

    Raises:
        GenlabError: the model does not sample.
        UsageError: rows of another request are there.
        StorageError: the disk refused.
    """
    able(model, turns)
    labelled = "label" in turns
    with rows(path, [f"e{at}" for at in range(table.shape[0])], {**request, "number": number}) as written:
        there = len(written.names)
        missing = [range(there + part.start, there + part.stop) for part in chunks(number - there, AT_ONCE)]
        for part, given, samples in stream(model, missing, seed, turns, progress=progress):
            labels = [classes[label] for label in given["label"].tolist()] if labelled else [None] * len(part)
            written.add([str(row) for row in part], labels, samples.numpy())
        first = torch.from_numpy(written.values[: table.shown].copy())
        names = [label or "" for label in written.labels] if labelled else None
        written.put(lambda file: write_csv(file, table, written.values, names))
    return first, there


def write_csv(file: IO[bytes], table: Table, entries: Numbers, labels: Sequence[str] | None) -> None:
    """Write entries (B, D) with the header, the types and the decimals of the training table."""
    text = io.TextIOWrapper(file, "utf-8", newline="")
    written = csv.writer(text)
    written.writerow(table.names(labelled=labels is not None))
    for start in range(0, len(entries), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        x = torch.from_numpy(entries[part].copy())
        written.writerows(table.texts(x, None if labels is None else labels[part]))
    text.detach()
