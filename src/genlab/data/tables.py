"""Opens tables as sources: rows of numbers and categories, with the labels of a column."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genlab.core.column import Column
from genlab.core.errors import DataError
from genlab.core.table import Table
from genlab.core.text import counted, few, printable
from genlab.data.arrays import ROWS
from genlab.data.dataset import Array, Dataset, IntArray, Rejected, Source, Values, fingerprint
from genlab.data.progress import bar
from genlab.data.rows import Rows
from genlab.data.split import held_out
from genlab.data.stored import stored
from genlab.data.tables_cells import Cells, Chunk, Raw
from genlab.data.tables_columns import Survey, values_of
from genlab.data.tables_files import read_raw
from genlab.data.tables_schema import check_columns, decide

Flags = npt.NDArray[np.bool_]


def open_table(
    name: str,
    path: Path,
    label: str | None,
    ignore: Sequence[str],
    max_rejected: float,
    cache: Path,
    progress: bool,
) -> Source:
    """Open a table in a file: CSV, Parquet, or an .npz with `X` and perhaps `y`.

    Raises:
        DataError: a file that cannot be used as it is.
        UsageError: no such column.
    """

    def make() -> Source:
        return source_of_raw(read_raw(name, path), label, ignore, max_rejected, cache, progress=progress)

    return stored(name, [path], None, None, cache, make, depends=[label, sorted(ignore), max_rejected])


def source_of_raw(
    raw: Raw,
    label: str | None,
    ignore: Sequence[str],
    max_rejected: float,
    cache: Path,
    *,
    progress: bool = False,
) -> Source:
    """Return a table as a source: about 10% of its rows are held out, by a hash of their number.

    Numbers are scaled by the training rows. Columns with one value in these, and keys, get no entries.

    Args:
        raw: the table.
        label: the column of the labels, which is not among the entries; None takes that which the file names.
        ignore: columns to leave out.
        max_rejected: the largest share of rows that may be damaged, and of cells of text in a column of numbers.
        cache: the folder for large arrays.
        progress: show progress bars on a terminal.

    Raises:
        DataError: fewer than two rows, too many damaged ones, no column left, or too many categories.
        UsageError: no such column.
    """
    label = label or raw.label
    check_columns(raw, label, ignore)
    if raw.count < 2:
        raise DataError(f'"{raw.name}" has {counted(raw.count, "row")} below its header: give at least 2.')
    out = held_out([str(row) for row in range(raw.count)])
    surveys, ragged = _survey(raw, [name for name in raw.names if name not in ignore], out, progress)
    _check_rejected(raw, ragged, max_rejected)
    target, names, notes = decide(raw, surveys, label, ignore, max_rejected)
    train, its, rejected = _encode(raw, target, names, out, cache, progress)
    _check_rejected(raw, rejected, max_rejected)
    target = _with_shares(target, train.values)
    splits = [
        Dataset(f"{raw.name}/{title}", part.values, part.labels, part.classes, part.fingerprint, target)
        for title, part in (("train", train), ("held-out", its))
    ]
    notes = {**raw.notes, "split": ROWS, **notes}
    return Source(raw.name, splits[0], splits[1], raw.count, tuple(rejected), notes=notes)


def _chunks(raw: Raw, what: str, progress: bool) -> Iterator[Chunk]:
    with bar(progress) as shown:
        task = shown.add_task(what, total=raw.count)
        for chunk in raw.read():
            yield chunk
            shown.advance(task, len(chunk.rows) + len(chunk.ragged))


def _survey(
    raw: Raw, names: Sequence[str], out: Flags, progress: bool
) -> tuple[dict[str, Survey], list[Rejected]]:
    """Read the table once; return what each column holds, and the rows that are none."""
    surveys, ragged = {name: Survey(name) for name in names}, []
    for chunk in _chunks(raw, "reading", progress):
        for name, survey in surveys.items():
            survey.add(chunk.cells[name], ~out[chunk.rows], chunk.rows)
        ragged += [Rejected(row_name(row), why) for row, why in chunk.ragged]
    return surveys, ragged


def _check_rejected(raw: Raw, rejected: Sequence[Rejected], most: float) -> None:
    """Refuse a table if more than the share `most` of its rows are damaged.

    Raises:
        DataError: there are more.
    """
    share = len(rejected) / raw.count
    if share > most:
        shown = few((f"{item.path}: {item.reason}" for item in rejected), 5)
        raise DataError(
            f'"{raw.name}": {len(rejected):,} of {raw.count:,} rows ({share:.1%}) cannot be used; the limit is '
            f"{most:.1%}. {shown}. Repair or remove them, or continue without them: --max-rejected "
            f"{math.ceil(share * 100) / 100:g}."
        )


def row_name(row: int) -> str:
    """Return what messages and files call a row, which is counted from 0; names count from 1."""
    return f"row {row + 1}"


def _encode(
    raw: Raw, table: Table, labels: Column | None, out: Flags, cache: Path, progress: bool
) -> tuple[Dataset, Dataset, list[Rejected]]:
    """Read the table again; return the entries of the training and the held-out rows, and what was rejected."""
    sizes = [int((~out).sum()), int(out.sum())]
    sides = [Rows(size, table.shape, np.dtype(np.float32), cache) for size in sizes]
    found: list[list[IntArray]] = [[], []]
    rejected: list[Rejected] = []
    for chunk in _chunks(raw, "encoding", progress):
        entries, whys = encode_chunk(table, chunk)
        classes = np.zeros(len(entries), np.int64)
        if labels is not None:
            own = labels.encode(values_of(labels, chunk.cells[labels.name]))
            classes = own.argmax(1)
            whys |= dict.fromkeys(np.flatnonzero(own.max(1) < 0).tolist(), f'no label: "{labels.name}" is empty')
        rejected += [Rejected(row_name(row), why) for row, why in chunk.ragged]
        rejected += [Rejected(row_name(chunk.rows[at]), why) for at, why in whys.items()]
        good = np.array([at not in whys for at in range(len(entries))], bool)
        for side, belongs in enumerate((~out[chunk.rows], out[chunk.rows])):
            for row in entries[good & belongs]:
                sides[side].add(row)
            found[side].append(classes[good & belongs])
    parts = [side.array() for side in sides]
    if not all(map(len, parts)):
        raise DataError(f'"{raw.name}" has too few rows that can be used. {few(item.reason for item in rejected)}')
    its = [np.concatenate(each) if labels is not None else None for each in found]
    names = () if labels is None else tuple(printable(choice) for choice in labels.choices)
    train, other = (
        Dataset("", values, own, names, fingerprint(values, own)) for values, own in zip(parts, its, strict=True)
    )
    return train, other, rejected


def encode_chunk(table: Table, chunk: Chunk) -> tuple[Array, dict[int, str]]:
    """Return the entries (B, D) of some rows, and why a row cannot be used, by its position."""
    entries = np.empty((len(chunk.rows), *table.shape), np.float32)
    whys: dict[int, str] = {}
    for column, at in table.parts():
        cells: Cells = chunk.cells[column.name]
        entries[:, at] = column.encode(values_of(column, cells))
        if not column.choices:
            whys |= {
                row: f'"{column.name}" is {cells.shown(row)}, {_why(cells.numbers[row])}'
                for row in np.flatnonzero(cells.wrong).tolist()
            }
    return entries, whys


def _why(number: float) -> str:
    return "not a number" if math.isnan(number) else "infinite or too large"


def _with_shares(table: Table, values: Values) -> Table:
    """Return a table whose columns know the histograms of the training rows."""
    columns = [
        replace(column, shares=tuple(column.shares_of(values[np.arange(len(values))][:, at]).round(6).tolist()))
        for column, at in table.parts()
    ]
    return replace(table, columns=tuple(columns))
