"""Reads the rows of a table as inputs of a model that was trained on a table with the same columns."""

import hashlib
import os
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError, UsageError, suggestion
from genlab.core.files import expanded, storage
from genlab.core.table import Table
from genlab.core.text import counted, few
from genlab.core.warnings import LOG
from genlab.data.dataset import Array, Rejected
from genlab.data.tables import encode_chunk, row_name
from genlab.data.tables_cells import Cells, Chunk, Raw, of_texts
from genlab.data.tables_columns import values_of
from genlab.data.tables_files import is_frame, is_table, raw_frame, read_raw

NEW = "{rows} with a category that no training row has, such as {example}: taken as none of the choices"
GONE = "{rows} without a value, which all training rows have: taken as the mean"
OTHER = "{rows} with another value than all training rows, such as {example}: the column is not used"


@dataclass
class Unknown:
    """Cells such as no training row has: how many of each column, and in which way."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, table: Table, chunk: Chunk) -> None:
        """Count what is unknown in some rows."""
        for column in table.columns:
            cells = chunk.cells[column.name]
            if column.choices:
                known = set(column.choices)
                self._count(column.name, NEW, cells, [text not in known for text in values_of(column, cells)])
            elif not column.missing:
                self._count(column.name, GONE, cells, cells.empty)
        for name, value in table.constants:
            if name in chunk.cells:
                self._count(name, OTHER, chunk.cells[name], ~_equal(chunk.cells[name], value))

    def _count(self, name: str, what: str, cells: Cells, which: npt.ArrayLike) -> None:
        found = np.flatnonzero(which)
        if len(found):
            self.counts[name, what] += len(found)
            self.examples.setdefault((name, what), cells.shown(int(found[0])))

    def warn(self) -> None:
        """Log a line for each column."""
        for (name, what), count in self.counts.items():
            text = what.format(rows=counted(count, "row"), example=self.examples[name, what])
            LOG.warning('"%s": %s', name, text)


def _equal(cells: Cells, value: str) -> npt.NDArray[np.bool_]:
    """Return which cells have a value: the same number, or the same text."""
    number = of_texts([value]).numbers
    if np.isnan(number).any():
        return np.array([text == value for text in cells.as_texts(whole=False)], bool)
    return np.equal(cells.numbers, number)


def find_table(given: object) -> tuple[Raw, str, str]:
    """Return the table in a file or a data frame, a title for names of files, and a hash of what it holds.

    Raises:
        UsageError: it is neither.
        DataError: a file that cannot be read.
        StorageError: the disk refused.
    """
    if not isinstance(given, str | os.PathLike):
        if not is_frame(given):
            raise UsageError(f"rows are the path of a table or a data frame, not a {type(given).__name__}")
        raw = raw_frame(None, given)
        mark = digest(raw)
        return raw, f"frame-{mark[:8]}", mark
    path = expanded(given)
    if not is_table(path):
        raise UsageError(
            f'"{path}" is no table, but this model was trained on rows of one. Give a .csv or .parquet with its '
            "columns, an .npz with X, or in Python a data frame."
        )
    with storage(path), path.open("rb") as file:
        mark = hashlib.file_digest(file, "sha256").hexdigest()
    return read_raw(str(path), path), path.stem, mark


def check_columns(raw: Raw, table: Table, label: str | None = None) -> str | None:
    """Return the column of the labels, if there is one, and log the columns that are not used.

    Args:
        raw: the table.
        table: that which the model was trained on.
        label: the column that a user names; by default that of the model, or else that which the file names.

    Raises:
        DataError: columns of the model are missing.
        UsageError: there is no column `label`, or the model was trained on it.
    """
    wanted = [column.name for column in table.columns]
    if missing := [name for name in wanted if name not in raw.names]:
        if not raw.names:
            raise DataError(f'"{raw.name}" is empty. Give a table with the columns {few(wanted, 10)}.')
        near = suggestion(missing[0], [name for name in raw.names if name not in wanted])
        raise DataError(
            f'"{raw.name}" has no column {few(missing, 10)}, which the model was trained on.{near} It has '
            f"{few(raw.names, 40)}."
        )
    if label is not None and label not in raw.names:
        near = suggestion(label, raw.names)
        raise UsageError(f'--label {label}: "{raw.name}" has no such column.{near} Choices: {few(raw.names, 40)}.')
    if label in wanted:
        raise UsageError(
            f"--label {label}: the model was trained on this column, and knows it. Choose another one, or train "
            f"again with --label {label}."
        )
    label = label or table.label or raw.label
    known = {*table.names(labelled=True), *table.ignored, label}
    if extra := [name for name in raw.names if name not in known]:
        LOG.info('"%s": the columns %s are not used: the model was trained without them', raw.name, few(extra, 10))
    return label if label in raw.names else None


def inputs(
    raw: Raw, table: Table, done: Container[str], label: str | None = None
) -> Iterator[tuple[int, Array, str | None] | Rejected]:
    """Yield the number, the entries (D,) and the label of each row whose name is not in `done`.

    Values such as no training row had are counted, and logged at the end.
    """
    unknown = Unknown()
    for chunk in raw.read():
        yield from (Rejected(row_name(row), why) for row, why in chunk.ragged)
        entries, whys = encode_chunk(table, chunk)
        unknown.add(table, chunk)
        labels = [""] * len(entries) if label is None else chunk.cells[label].as_texts(whole=True)
        for at, (row, its) in enumerate(zip(chunk.rows.tolist(), labels, strict=True)):
            if at in whys:
                yield Rejected(row_name(row), whys[at])
            elif row_name(row) not in done:
                yield row, entries[at], its or None
    unknown.warn()


def digest(raw: Raw) -> str:
    """Return a hash (hex) of the columns and the cells of a table."""
    found = hashlib.sha256("\0".join(raw.names).encode())
    for chunk in raw.read():
        for cells in chunk.cells.values():
            found.update(cells.numbers.tobytes())
            found.update("\0".join(cells.texts or ()).encode())
        found.update(repr(chunk.ragged).encode())
    return found.hexdigest()
