"""Opens tables as sources: rows of numbers and categories, with the labels of a column."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError, UsageError, suggestion
from genlab.core.table import MOST_ENTRIES, Column, Table
from genlab.core.text import counted, few, printable
from genlab.data.arrays import ROWS
from genlab.data.cache import cache_folder
from genlab.data.dataset import Array, Dataset, IntArray, Rejected, Source, Values, fingerprint
from genlab.data.rows import Rows
from genlab.data.split import held_out
from genlab.data.stored import stored
from genlab.data.tables_cells import Cells, Chunk, Raw
from genlab.data.tables_columns import MOST_CHOICES, RULE, Survey, values_of
from genlab.data.tables_files import read_raw

Flags = npt.NDArray[np.bool_]
_SHOWN = 10  # columns in a note


def open_table(
    name: str, path: Path, label: str | None, ignore: Sequence[str], max_rejected: float, cache: Path
) -> Source:
    """Open a table in a file: CSV, Parquet, or an .npz with `X` and perhaps `y`.

    Raises:
        DataError: a file that cannot be used as it is.
        UsageError: no such column.
    """
    make = partial(_make_file, name, path, label, ignore, max_rejected, cache)
    return stored(name, [path], None, None, cache, make, depends=[label, sorted(ignore), max_rejected])


def _make_file(
    name: str, path: Path, label: str | None, ignore: Sequence[str], max_rejected: float, cache: Path
) -> Source:
    return source_of_raw(read_raw(name, path), label, ignore, max_rejected, cache)


def source_of_raw(
    raw: Raw, label: str | None, ignore: Sequence[str], max_rejected: float, cache: Path | None = None
) -> Source:
    """Return a table as a source: about 10% of its rows are held out, by a hash of their number.

    Numbers are scaled by the training rows. Columns with one value in these, and keys, get no entries.

    Args:
        raw: the table.
        label: the column of the labels, which is not among the entries; None takes that which the file names.
        ignore: columns to leave out.
        max_rejected: the largest share of rows that may be damaged, and of cells of text in a column of numbers.
        cache: the folder for large arrays.

    Raises:
        DataError: fewer than two rows, too many damaged ones, no column left, or too many categories.
        UsageError: no such column.
    """
    label = label or raw.label
    _check_columns(raw, label, ignore)
    if raw.count < 2:
        raise DataError(f'"{raw.name}" has {counted(raw.count, "row")} below its header: give at least 2.')
    out = held_out([str(row) for row in range(raw.count)])
    surveys, ragged = _survey(raw, [name for name in raw.names if name not in ignore], out)
    _check_rejected(raw, ragged, max_rejected)
    target, names, notes = _decide(raw, surveys, label, ignore, max_rejected)
    train, its, rejected = _encode(raw, target, names, out, cache or cache_folder())
    _check_rejected(raw, rejected, max_rejected)
    target = _with_shares(target, train.values)
    splits = [
        Dataset(f"{raw.name}/{title}", part.values, part.labels, part.classes, part.fingerprint, target)
        for title, part in (("train", train), ("held-out", its))
    ]
    notes = {**raw.notes, "split": ROWS, **notes}
    return Source(raw.name, splits[0], splits[1], raw.count, tuple(rejected), notes=notes)


def _check_columns(raw: Raw, label: str | None, ignore: Sequence[str]) -> None:
    for option, names in (("--label", [label] if label else []), ("--ignore", ignore)):
        for name in names:
            if name not in raw.names:
                raise UsageError(
                    f'{option} {name}: "{raw.name}" has no such column.{suggestion(name, raw.names)} Choices: '
                    f"{few(raw.names, 40)}."
                )
    if label in ignore:
        raise UsageError(f"--label {label} and --ignore {label}: give one of them. Labels are not trained on.")


def _survey(raw: Raw, names: Sequence[str], out: Flags) -> tuple[dict[str, Survey], list[Rejected]]:
    """Read the table once; return what each column holds, and the rows that are none."""
    surveys, ragged = {name: Survey(name) for name in names}, []
    for chunk in raw.read():
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


def _decide(
    raw: Raw, surveys: Mapping[str, Survey], label: str | None, ignore: Sequence[str], share: float
) -> tuple[Table, Column | None, dict[str, str]]:
    """Return the table, the column of the labels, and notes on what was decided."""
    columns, constants, keys = [], {}, {}
    for name, survey in surveys.items():
        if name == label:
            continue
        if (why := survey.key()) is not None:
            keys[name] = why
        elif (value := survey.constant()) is not None:
            constants[name] = value
        else:
            columns.append(survey.column(share))
    if not columns:
        raise DataError(
            f'"{raw.name}" has no column to train on. {_listed("Constant", constants)}{_listed("Keys", keys)}'
        )
    if (width := sum(column.width for column in columns)) > MOST_ENTRIES:
        raise DataError(
            f'"{raw.name}" has {width:,} entries in a row; the most are {MOST_ENTRIES:,}. Use --ignore.'
        )
    labels = None if label is None else _label(raw.name, surveys[label])
    header = [name for name in raw.names if name not in {*ignore, *keys}]
    table = Table(tuple(columns), tuple(header), tuple(constants.items()), (*ignore, *keys), label)
    numbers = sum(not column.choices for column in columns)
    notes = {
        "columns": f"{counted(numbers, 'column')} of numbers, {len(columns) - numbers} of categories: {RULE}",
        "scaling": "(x - mean) / standard deviation of the training rows; categories are -1 and 1",
    }
    left_out = [f'"{name}" ({why}; to say so: --ignore)' for name, why in keys.items()]
    left_out += [f'"{name}" (--ignore)' for name in ignore]
    left_out += [f'"{name}" (constant: {value or "empty"})' for name, value in constants.items()]
    if left_out:
        notes["left out"] = few(left_out, _SHOWN)
    empty = [
        f'"{column.name}" in {surveys[column.name].empty:,}' for column in columns if surveys[column.name].empty
    ]
    if empty:
        notes["missing values"] = f"{few(empty, _SHOWN)} of {raw.count:,} rows; an entry of its own says so"
    if labels is not None:
        single = "; there is only one, so that nothing can be told apart by it" if len(labels.choices) == 1 else ""
        notes["labels"] = f'column "{label}", not trained on: {few(labels.choices, _SHOWN)}{single}'
    return table, labels, notes


def _listed(what: str, names: Mapping[str, str]) -> str:
    return f"{what}: {few(names, _SHOWN)}. " if names else ""


def _label(name: str, survey: Survey) -> Column:
    """Return the labels as a column of categories.

    Raises:
        DataError: too many different ones, or none.
    """
    choices = survey.kept or {f"{value:.15g}" for value in survey.values}
    if not 0 < len(choices) <= MOST_CHOICES:
        found = f"more than {MOST_CHOICES} different values" if choices else "none"
        raise DataError(f'"{name}": the column of labels "{survey.name}" has {found}. Choose another --label.')
    try:
        return Column(survey.name, tuple(sorted(choices, key=float)))
    except ValueError:
        return Column(survey.name, tuple(sorted(choices)))


def _encode(
    raw: Raw, table: Table, labels: Column | None, out: Flags, cache: Path
) -> tuple[Dataset, Dataset, list[Rejected]]:
    """Read the table again; return the entries of the training and the held-out rows, and what was rejected."""
    sizes = [int((~out).sum()), int(out.sum())]
    sides = [Rows(size, table.shape, np.dtype(np.float32), cache) for size in sizes]
    found: list[list[IntArray]] = [[], []]
    rejected: list[Rejected] = []
    for chunk in raw.read():
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
                row: f'"{column.name}" is {cells.shown(row)}, not a number'
                for row in np.flatnonzero(cells.wrong).tolist()
            }
    return entries, whys


def _with_shares(table: Table, values: Values) -> Table:
    """Return a table whose columns know the histograms of the training rows."""
    columns = [
        replace(column, shares=tuple(column.shares_of(values[np.arange(len(values))][:, at]).round(6).tolist()))
        for column, at in table.parts()
    ]
    return replace(table, columns=tuple(columns))


def rows_of(raw: Raw, table: Table) -> Iterator[tuple[Chunk, Array, dict[int, str]]]:
    """Yield rows of another table with the same columns, in any order, as `encode_chunk` returns them."""
    for chunk in raw.read():
        yield (chunk, *encode_chunk(table, chunk))
