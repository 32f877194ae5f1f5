"""Reads the numbers of a log file in any of several formats, by the names in the file."""

import csv
import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genlab.core.errors import GenlabError, UsageError

MOST = 20_000  # lines that are read of a longer log, evenly spaced, besides all lines with NaN or Inf
Row = tuple[int, Mapping[str, float]]  # number of a line, and its values
Line = tuple[int, str]

_PAIR = re.compile(r"([A-Za-z][\w()/. -]*?)\s*[:=]\s*(-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|nan|inf(?:inity)?))", re.I)


def rows_of(path: Path, notes: list[str]) -> Iterator[Row]:
    """Yield the numbers of each line of a file, or of TensorBoard's event files in a folder.

    Anything unusual about the file is added to `notes`.

    Raises:
        UsageError: a folder without event files.
        GenlabError: the file is empty or cannot be read.
    """
    if path.is_dir():
        files = sorted(path.rglob("*tfevents*"))
        if not files:
            raise UsageError(f"{path} is not a run folder and holds no TensorBoard event files")
        yield from enumerate(row for file in files for row in _events(file))
        return
    if "tfevents" in path.name:
        yield from enumerate(_events(path))
        return
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise GenlabError(f"cannot read {path}: {error}") from None
    lines = [line for line in text.splitlines() if line and not line.isspace()]
    if not lines:
        raise GenlabError(f"{path} is empty")
    if lines[0].lstrip().startswith("{"):
        yield from _json_lines(_thinned(lines, notes), notes)
    elif _is_table(lines):
        yield from _table(lines[0], _thinned(lines[1:], notes), notes)
    else:
        yield from _printed(_thinned(lines, notes))


def _thinned(lines: Sequence[str], notes: list[str]) -> Iterable[Line]:
    """Return numbered lines; of a long log every n-th one, and all with NaN or Inf."""
    if len(lines) <= MOST:
        return enumerate(lines)
    every = -(-len(lines) // MOST)
    notes.append(f"{len(lines):,} lines: every {every}th was read, and each with NaN or Inf")
    return [
        (number, line)
        for number, line in enumerate(lines)
        if number % every == 0 or "nan" in (low := line.lower()) or "inf" in low
    ]


def _is_table(lines: Sequence[str]) -> bool:
    """Return whether the first line names the columns of a table."""
    head = re.split(r"[,;\t]", lines[0])
    if len(head) == 1:
        return len(lines) > 1 and _number(lines[0]) is None and _number(lines[1]) is not None
    return all(_number(cell) is None for cell in head) and not _PAIR.search(lines[0])


def _table(head: str, lines: Iterable[Line], notes: list[str]) -> Iterator[Row]:
    separator = max(",;\t", key=head.count)
    (names,) = csv.reader([head], delimiter=separator)
    names, broken = [name.strip() for name in names], 0
    for number, line in lines:
        try:
            (cells,) = csv.reader([line], delimiter=separator)
        except csv.Error:  # such as a cell of more than 128 KiB
            broken += 1
            continue
        row = {n: value for n, cell in zip(names, cells, strict=False) if (value := _number(cell)) is not None}
        if row:
            yield number, row
    if broken:
        notes.append(f"{broken} lines could not be read and were left out")


def _json_lines(lines: Iterable[Line], notes: list[str]) -> Iterator[Row]:
    broken = 0
    for number, line in lines:
        try:
            values = json.loads(line)
        except ValueError:
            broken += 1
            continue
        if isinstance(values, dict):
            flat = dict(_flat(values))
            row = {n: v for n, v in flat.items() if isinstance(v, int | float) and not isinstance(v, bool)}
            if row:
                yield number, row
    if broken:
        notes.append(f"{broken} lines are not JSON and were left out")


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value


def _printed(lines: Iterable[Line]) -> Iterator[Row]:
    """Read `[0/5][100/1583] Loss_D: 0.52 Loss_G: 3.1`, as training loops print it."""
    for number, line in lines:
        row = {name.strip(): value for name, text in _PAIR.findall(line) if (value := _number(text)) is not None}
        if row:
            yield number, row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _events(path: Path) -> Iterator[dict[str, float]]:
    """Read TensorBoard's records: length (8 bytes), its checksum (4), an Event message, its checksum (4)."""
    data, place = path.read_bytes(), 0
    records = []
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        if place + 16 + length > len(data):
            break  # this record is still being written
        records.append((place + 12, length))
        place += 16 + length
    if len(records) > 10 * MOST:
        records = records[:: -(-len(records) // (10 * MOST))]
    for start, length in records:
        step, values = 0, []
        for field, value in _message(data[start : start + length]):
            if field == 2 and isinstance(value, int):
                step = value
            elif field == 5 and isinstance(value, bytes):
                values += [part for inner, part in _message(value) if inner == 1 and isinstance(part, bytes)]
        for part in values:
            tag, number = "", None
            for inner, piece in _message(part):
                if inner == 1 and isinstance(piece, bytes):
                    tag = piece.decode(errors="replace")
                elif inner == 2 and isinstance(piece, float):
                    number = piece
                elif inner == 8 and isinstance(piece, bytes):
                    number = _tensor(piece)
            if number is not None:
                yield {"step": step, tag: number}


def _tensor(data: bytes) -> float | None:
    """Return the value of a TensorProto with one float."""
    for field, value in _message(data):
        if field == 4 and isinstance(value, bytes) and len(value) == 4:
            return float(struct.unpack("<f", value)[0])
        if field == 5 and isinstance(value, bytes) and len(value) >= 4:
            return float(struct.unpack("<f", value[:4])[0])
        if field == 5 and isinstance(value, float):
            return value
    return None


def _message(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield the number and the value of each field of a protocol buffer."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield field, value
        elif kind == 1:
            yield field, float(struct.unpack_from("<d", data, place)[0])
            place += 8
        elif kind == 2:
            length, place = _varint(data, place)
            yield field, data[place : place + length]
            place += length
        elif kind == 5:
            yield field, float(struct.unpack_from("<f", data, place)[0])
            place += 4
        else:
            return


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            break
    return value, place
