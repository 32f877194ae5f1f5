"""Tables of plain text, and values as messages show them."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 40  # characters of a value in a message
_PLAIN = (str, int, float, bool, os.PathLike, type, type(None))


def short(value: object, most: int = SHOWN) -> str:
    """Return a value as messages show it: long text is cut, and of data only the type and the shape are shown."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    if isinstance(value, list | tuple | set | Mapping):
        plain = all(isinstance(item, _PLAIN) for item in (value.values() if isinstance(value, Mapping) else value))
        text = str(value) if plain else f"{type(value).__name__} of {len(value):,} items"
    else:
        text = str(value) if isinstance(value, _PLAIN) or shape == () else type(value).__name__
    return text if len(text) <= most else f"{text[: most - 1]}…"


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
            lines += [f"{margin}  {'  '.join(str(part) for part in item.values())}" for item in value]
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            lines.append(f"{margin}{name:<{20 - len(margin)}} {shown}")
    return "\n".join(lines)
