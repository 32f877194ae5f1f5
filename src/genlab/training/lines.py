"""Reads the lines of history.jsonl and events.jsonl, and checks that they have what their readers need."""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from genlab.core.errors import GenlabError
from genlab.core.files import read
from genlab.core.warnings import warn_once
from genlab.training.criterion import values_of

Shape: TypeAlias = Any  # one of the words below, or a list or mapping of shapes

BLOCK = 1 << 16  # bytes that are read at once from the end of a file
LONGEST = 1 << 20  # bytes of a line
MOST = 1 << 28  # bytes of a file
HUGE = 1 << 63  # whole numbers from here on fit in no array
NUMBER, WHOLE, TEXT, FLAG, MAPPING = "a number", "a whole number", "text", "true or false", "a mapping"
NUMBER_OR_NULL, WHOLE_OR_NULL = "a number or null", "a whole number or null"
_KINDS = {TEXT: str, FLAG: bool, MAPPING: dict}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

# What readers need of the events of a kind; a list has one shape, that of all its items.
EVENTS: Mapping[str, Mapping[str, Shape]] = {
    "evaluation": {"best": FLAG},
    "finding": {
        "rule": TEXT,
        "symptom": TEXT,
        "severity": TEXT,
        "line": TEXT,
        "since": WHOLE,
        "evidence": [{"signal": TEXT, "value": NUMBER_OR_NULL, "expected": TEXT}],
        "why": TEXT,
        "references": TEXT,
        "remedies": [{"changes": TEXT, "why": TEXT}],
    },
    "diagnosis": {"findings": [TEXT]},
    "remedy": {"changes": MAPPING, "back to step": WHOLE},
    "fault": {"tensor": TEXT, "value": TEXT},
    "scores": {"auroc_chance_error": NUMBER, "figures": [{"score": TEXT, "auroc": NUMBER}]},
}
SINCE_LATER: Mapping[str, Mapping[str, Shape]] = {  # what events of earlier versions may lack
    "diagnosis": {"past": [{"rule": TEXT, "since": WHOLE, "until": WHOLE}]},
}


def forwards(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file that `whole_lines` can read."""
    return [record for _, record in whole_lines(path) if record is not None]


def whole_lines(path: Path) -> list[tuple[bytes, dict[str, Any] | None]]:
    """Return the lines of a file with their records, None where genlab did not write one.

    A warning counts those. What comes after the last newline is left out: a kill has cut it off.

    Raises:
        GenlabError: it is not a regular file, or too long.
    """
    try:
        lines = read(path, MOST).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from None
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        if line:
            record = _record(path.name, line)
            if isinstance(record, str):
                faults.append(f"line {number:,}, which {record}")
            found.append((line, None if isinstance(record, str) else record))
    if faults:
        which, more = ("1 line", "is") if len(faults) == 1 else (f"{len(faults):,} lines", "are")
        warn_once(f"{which} of {path} cannot be read and {more} left out (first: {faults[0]})")
    return found


def backwards(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what `forwards` returns, the last first, and read only what is taken.

    Raises:
        GenlabError: it is not a regular file, or too long.
    """
    whole = True
    for line in _reversed(path):
        record = _record(path.name, line)
        if not isinstance(record, str):
            yield record
        elif whole:
            whole_lines(path)  # for its warning
            whole = False


def _reversed(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, the last first; of one that is too long only a part that is too long."""
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise _unreadable(path, OSError(errno.EINVAL, "it is not a file with bytes of its own"))
    with path.open("rb") as file:
        place, rest, ended = file.seek(0, os.SEEK_END), b"", False
        if place > MOST:
            raise _unreadable(path, OSError(errno.EFBIG, f"it has {place:,} bytes, more than {MOST:,}"))
        while place:
            start = max(place - BLOCK, 0)
            file.seek(start)
            rest, *lines = (file.read(place - start) + rest).split(b"\n")
            rest, place = rest[: LONGEST + 1], start
            if lines and not ended:
                lines.pop()  # after the last newline
                ended = True
            yield from filter(None, reversed(lines))
        if ended and rest:
            yield rest


def _unreadable(path: Path, error: OSError) -> GenlabError:
    return GenlabError(f"cannot read {path}: {error.strerror}. Restore the file, or move it away.")


def wrong(value: object, shape: Shape, name: str = "") -> str:
    """Return what is wrong with a value in words, "" if nothing: `"since" must be a whole number, not "soon"`."""
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return f"{name} must be a mapping, not {value!r:.60}"
        return next(filter(None, (_wrong_entry(value, key, its) for key, its in shape.items())), "")
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{name} must be a list, not {value!r:.60}"
        return next(filter(None, (wrong(item, shape[0], f"an item of {name}") for item in value)), "")
    return "" if _is(value, shape) else f"{name} must be {shape}, not {value!r:.60}"


def _wrong_entry(values: Mapping[str, Any], key: str, shape: Shape) -> str:
    if key not in values:
        return f'it has no "{key}"'
    if isinstance(shape, str) and _is(values[key], shape):
        return ""
    return wrong(values[key], shape, f'"{key}"')


def _is(value: object, word: str) -> bool:
    if word in _KINDS:
        return isinstance(value, _KINDS[word])
    if value is None:
        return word in (NUMBER_OR_NULL, WHOLE_OR_NULL)
    if type(value) is int:
        return -HUGE < value < HUGE
    return type(value) is float and word in (NUMBER, NUMBER_OR_NULL)


def _record(name: str, line: bytes) -> dict[str, Any] | str:
    """Return the record in a line of the file `name`, or in words why genlab did not write it."""
    if len(line) > LONGEST:
        return f"is longer than {LONGEST:,} bytes"
    try:
        record = json.loads(line)
        if b"\\u" in line:
            json.dumps(record, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not _is(record.get("step"), WHOLE) or record["step"] < 0:
        return f"is not a JSON record with a step: {line[:60]!r}"
    why = _wrong_event(record) if name == "events.jsonl" else _wrong_signal(record)
    return f"is damaged, because {why}: {line[:60]!r}" if why else record


def _wrong_signal(record: Mapping[str, Any]) -> str:
    """Return what is wrong with a line of history.jsonl: its values must be numbers, or null."""
    for name, value in record.items():
        if type(value) is not float and not _is(value, NUMBER_OR_NULL):
            return wrong(value, NUMBER, f'"{name}"')
    return ""


def _wrong_event(event: Mapping[str, Any]) -> str:
    """Return what is wrong with a line of events.jsonl."""
    why = wrong(event, {"event": TEXT})
    if why:
        return why
    time = event.get("time")
    if time is not None and not _is_time(time):
        return f'"time" must be like 2026-01-31T12:00:00Z, not {time!r:.60}'
    later = {name: shape for name, shape in SINCE_LATER.get(event["event"], {}).items() if name in event}
    why = wrong(event, {**EVENTS.get(event["event"], {}), **later})
    if why or event["event"] != "evaluation":
        return why
    return _wrong_evaluation(event)


def _is_time(value: object) -> bool:
    try:
        return bool(isinstance(value, str) and _TIME.fullmatch(value) and datetime.fromisoformat(value[:-1]))
    except ValueError:  # the 31st of February
        return False


def _wrong_evaluation(event: Mapping[str, Any]) -> str:
    given = {name: kind for name, kind in (("criterion", TEXT), ("protocol", MAPPING)) if name in event}
    values = values_of(event)
    why = wrong(event, {**given, **dict.fromkeys(values, NUMBER)})
    name = event.get("criterion")
    if why or name is None or name in values:
        return why
    return f'"criterion" must be a value of the evaluation, not {name!r:.60}'
