"""Reads tables: CSV, Parquet, the arrays `X` and `y` of an .npz, data frames."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from genlab.core.errors import DataError, UsageError
from genlab.core.text import few, short
from genlab.data.arrayfile import open_arrays
from genlab.data.dataset import Array
from genlab.data.decode import reason
from genlab.data.labels import label_array
from genlab.data.tables_cells import AT_ONCE, Chunk, Raw, of_array, of_texts

DELIMITED, PARQUET = (".csv", ".tsv"), (".parquet",)
SUFFIXES = (*DELIMITED, *PARQUET)
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LOOKED_AT = 100  # lines in which the delimiter is sought
_ROWS, _LABELS = "X", "y"  # arrays of an .npz


def is_table(path: Path) -> bool:
    """Return whether a file holds a table; the arrays of an .npz do if they are called X, and none images."""
    if path.suffix.lower() not in (*SUFFIXES, ".npz"):
        return False
    try:
        if not path.is_file() or path.suffix.lower() in SUFFIXES:
            return path.is_file()
        with open_arrays(path) as arrays:
            return _ROWS in arrays.headers and "images" not in arrays.headers
    except (DataError, OSError):  # what is wrong is said when it is opened
        return False


def read_raw(name: str, path: Path) -> Raw:
    """Return the table in a file, whose rows are read when they are asked for.

    Raises:
        DataError: a file that cannot be read, without a header or with two columns of a name.
        UsageError: Parquet without pyarrow.
    """
    if path.suffix.lower() in DELIMITED:
        return _delimited(name, path)
    return _parquet(name, path) if path.suffix.lower() in PARQUET else _arrays(name, path)


def _delimited(name: str, path: Path) -> Raw:
    try:
        with _opened(path) as file:
            first = list(islice(file, _LOOKED_AT))
        delimiter = max(_DELIMITERS, key=lambda each: _agreement(first, each))
        with _opened(path) as file:
            lines_of_cells = (line for line in csv.reader(file, delimiter=delimiter) if line)
            header = [cell.strip() for cell in next(lines_of_cells, [])]
            count = sum(1 for _ in lines_of_cells)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f'"{name}" cannot be read: {reason(error)}. Save it as CSV in UTF-8, one row in each line.'
        ) from error
    cells = of_texts(header)
    if sum(~np.isnan(cells.numbers)) * 2 > len(header):
        raise DataError(
            f'"{name}" seems to have no header: its first line is {few(header)}. Add a line with a name for each '
            "column; names that are numbers need a letter, such as y2024."
        )
    names = tuple(column or f"column {at + 1}" for at, column in enumerate(header))
    _check_names(name, names)
    comma = delimiter != ","

    def read() -> Iterator[Chunk]:
        with _opened(path) as opened:
            each = (line for line in csv.reader(opened, delimiter=delimiter) if line)
            next(each, None)
            start = 0
            while part := list(islice(each, AT_ONCE)):
                yield _chunk(part, names, start, comma=comma)
                start += len(part)

    notes = {"recognised": f"CSV with {_DELIMITERS[delimiter]}{'; decimal points or commas' if comma else ''}"}
    return Raw(name, names, count, read, notes)


def _opened(path: Path) -> Any:  # noqa: ANN401 (a text file)
    return path.open(encoding="utf-8-sig", newline="")


def _agreement(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """Return how many lines have as many cells as the first one, if that are several, and how many cells."""
    try:
        cells = [len(line) for line in csv.reader(lines, delimiter=delimiter) if line]
    except csv.Error:
        return 0, 0
    return (cells.count(cells[0]), cells[0]) if cells and cells[0] > 1 else (0, 0)


def _chunk(lines: Sequence[Sequence[str]], names: Sequence[str], start: int, *, comma: bool) -> Chunk:
    whole = [at for at, line in enumerate(lines) if len(line) == len(names)]
    ragged = [
        (start + at, f"{len(line)} cells instead of {len(names)}")
        for at, line in enumerate(lines)
        if len(line) != len(names)
    ]
    columns = zip(*(lines[at] for at in whole), strict=True) if whole else ((),) * len(names)
    cells = {column: of_texts(its, comma=comma) for column, its in zip(names, columns, strict=True)}
    return Chunk(start + np.array(whole, np.int64), cells, ragged)


def _check_names(name: str, names: Sequence[str]) -> None:
    if twice := [column for column, count in Counter(names).items() if count > 1]:
        raise DataError(f'"{name}" has several columns called {few(twice)}. Rename all but one.')


def _parquet(name: str, path: Path) -> Raw:
    try:
        from pyarrow import lib, parquet, types
    except ImportError as error:
        raise UsageError(f'reading "{name}" needs pyarrow: pip install "genlab[parquet]"') from error
    try:
        opened = parquet.ParquetFile(path)
        names, count = tuple(opened.schema_arrow.names), opened.metadata.num_rows
    except (lib.ArrowException, OSError) as error:
        raise DataError(f'"{name}" is no Parquet file, or damaged: {reason(error)}.') from error
    _check_names(name, names)

    def read() -> Iterator[Chunk]:
        start = 0
        for part in opened.iter_batches(batch_size=AT_ONCE):
            cells = {}
            for column, its in zip(names, part.columns, strict=True):
                plain = types.is_integer(its.type) or types.is_floating(its.type)
                values = its.to_numpy(zero_copy_only=False) if plain else np.array(its.to_pylist(), object)
                cells[column] = of_array(values)
            yield Chunk(np.arange(start, start + part.num_rows), cells)
            start += part.num_rows

    return Raw(name, names, count, read, {"recognised": "Parquet"})


def _arrays(name: str, path: Path) -> Raw:
    with open_arrays(path) as arrays:
        rows = arrays.read(_ROWS)
        labels = label_array(arrays.read(_LABELS), _LABELS) if _LABELS in arrays.headers else None
        others = sorted(set(arrays.headers) - {_ROWS, _LABELS})
    if rows.ndim != 2 or rows.dtype.kind not in "fiub" or not rows.shape[1]:
        raise DataError(f'"{name}": {_ROWS} is {rows.dtype} {rows.shape}; give numbers (N, D).')
    if labels is not None and labels.shape != rows.shape[:1]:
        raise DataError(
            f'"{name}": {_LABELS} has shape {labels.shape}; give a label for each of {len(rows):,} rows.'
        )
    rows = rows.astype(np.uint8) if rows.dtype.kind == "b" else rows
    columns = {f"x{at}": rows[:, at] for at in range(rows.shape[1])}
    label = None if labels is None else _LABELS
    columns |= {} if labels is None else {_LABELS: labels}
    notes = {"recognised": f"the array X {rows.shape}{'' if label is None else ', labels y'}"}
    notes |= {"not used": f"the arrays {', '.join(others)}"} if others else {}
    return _in_memory(name, columns, notes, label)


def is_frame(data: object) -> bool:
    """Return whether `data` is a data frame, such as that of pandas."""
    return hasattr(data, "to_numpy") and hasattr(data, "columns") and hasattr(data, "__getitem__")


def raw_frame(name: str | None, frame: Any) -> Raw:  # noqa: ANN401 (of a library that is no dependency)
    """Return the table in a data frame.

    Raises:
        DataError: two columns of a name.
    """
    names = tuple(map(str, frame.columns))
    title = name or f"{type(frame).__name__} of {len(frame):,} rows"
    _check_names(title, names)
    columns = {column: np.asarray(frame[key].to_numpy()) for column, key in zip(names, frame.columns, strict=True)}
    return _in_memory(title, columns, {"recognised": f"{short(type(frame).__name__)}"}, None)


def _in_memory(name: str, columns: dict[str, Array], notes: dict[str, str], label: str | None) -> Raw:
    count = len(next(iter(columns.values()), ()))

    def read() -> Iterator[Chunk]:
        for start in range(0, count, AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, count))
            yield Chunk(rows, {column: of_array(its[rows]) for column, its in columns.items()})

    return Raw(name, tuple(columns), count, read, notes, label)
