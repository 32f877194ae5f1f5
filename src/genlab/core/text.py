"""Tables of plain text."""

from collections.abc import Mapping, Sequence
from typing import Any


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
