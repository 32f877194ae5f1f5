"""The figures of one model or one set of pictures, as text and as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from genlab.core.text import aligned
from genlab.metrics.figures import Figure, written


@dataclass(frozen=True)
class Measurement:
    """The figures of one model or one set of pictures."""

    subject: str
    figures: Sequence[Figure]
    seconds: float
    stored: bool = field(default=False, compare=False)  # whether it is the stored result of the same request

    def values(self) -> dict[str, Any]:
        """Return the measurement as plain values for JSON."""
        return {
            "subject": self.subject,
            "seconds": round(self.seconds, 1),
            "figures": [figure.values() for figure in self.figures],
        }

    def __str__(self) -> str:
        """Return a table; a letter refers to the parts of a protocol that not all figures share."""
        common = dict(self.figures[0].protocol)
        for figure in self.figures:
            common = {n: v for n, v in common.items() if figure.protocol.get(n) == v}
        letters: dict[str, str] = {}
        lines = []
        for f in self.figures:
            own = ", ".join(f"{n} {v}" for n, v in f.protocol.items() if n not in common and v != "")
            letter = letters.setdefault(own, chr(ord("a") + len(letters))) if own else ""
            arrow = {"lower": "↓", "higher": "↑", "none": " "}[f.better]
            lines.append((f"{f.name} {arrow}", written(f), letter, f.note))
        shared = ", ".join(f"{n} {v}" for n, v in common.items() if v != "")
        stamps = "".join(f"{letter}  {own}\n" for own, letter in letters.items())
        took = f"in {self.seconds:.0f} s"
        if self.stored:
            took = f"measured before, {took}; --again measures again"
        return f"{self.subject}\n\n{aligned(lines)}\n\n{stamps}all: {shared}\n{took}"
