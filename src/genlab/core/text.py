"""Tables of plain text, values as messages show them, commands to type, and text without control characters."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SHOWN = 40  # characters of a value in a message
_PLAIN = (str, int, float, bool, os.PathLike, type, type(None))

# Control characters but tabs and newlines, marks that reorder text, and halves of surrogate pairs: these stand for
# the bytes of file names that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BYTES = 0xDC00  # a byte of a file name that is not UTF-8 is this number plus the byte


def escaped(text: str) -> str:
    r"""Return a text with the control characters of terminals escaped, as in `\x1b[31m`; lines stay."""
    return _UNSAFE.sub(_escape, text)


def printable(name: str) -> str:
    """Return a name of a file or class with all characters escaped that cannot be shown in one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped(name))


def escaped_json(text: str) -> str:
    """Return JSON with the same characters escaped as in JSON, so that it has the same values."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if _BYTES + 0x80 <= code <= _BYTES + 0xFF:
        code -= _BYTES
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def short(value: object, most: int = SHOWN) -> str:
    """Return a value as messages show it: long text is cut, and of data only the type and the shape are shown."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    if isinstance(value, Mapping):
        text = f"{type(value).__name__} with {', '.join(map(str, value)) or 'nothing in it'}"
    elif isinstance(value, list | tuple | set):
        whole = all(isinstance(item, _PLAIN) for item in value)
        text = str(value) if whole else f"{type(value).__name__} of {len(value):,} items"
    else:
        text = str(value) if isinstance(value, _PLAIN) or shape == () else type(value).__name__
    return text if len(text) <= most else f"{text[: most - 1]}…"


def counted(count: int, noun: str) -> str:
    """Return a number of things in words: "1 step", "2,000 steps"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def plain(value: object) -> str:
    """Return a value without marks of Python: numbers with at most six digits, mappings as names and values."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def with_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of data with only the names of the columns of a table, for a person to read."""
    target = data.get("target")
    columns = target.get("columns") if isinstance(target, Mapping) else None
    if not (isinstance(target, Mapping) and isinstance(columns, list)):
        return dict(data)
    names = [each.get("name") if isinstance(each, Mapping) else each for each in columns]
    return {**data, "target": {"kind": target.get("kind"), "columns": names, "label": target.get("label")}}


def few(names: Iterable[str], most: int = 3) -> str:
    """Return the first names and how many more there are: "a, b, c and 2 more"."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def typed(*words: object) -> str:
    """Return a command as a shell reads it: each word quoted if it needs that, none taken for an option.

    A path that starts with a dash is written as `./-path`.
    """
    dashed = (isinstance(word, Path) and str(word).startswith("-") for word in words)
    return shlex.join(f"./{word}" if each else str(word) for word, each in zip(words, dashed, strict=True))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines whose columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def listed(values: Mapping[str, Any], margin: str = "") -> str:
    """Return a line for each name and value, nested ones indented."""
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{margin}{name}", *filter(None, [listed(value, margin + "  ")])]
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            lines += [f"{margin}{name}"]
            cells = [[str(part) for part in item.values()] for item in value]
            lines += [f"{margin}  {line}" for line in aligned(cells).split("\n")]
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            lines.append(f"{margin}{name:<{20 - len(margin)}} {shown}")
    return "\n".join(lines)
