"""A figure and the protocol that it was computed by."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["lower", "higher", "none"]
SIGMAS = 1.96  # of a difference that is hardly chance (95 %)


@dataclass(frozen=True)
class Figure:
    """One number, what is known of its error, and all that its value depends on."""

    name: str
    value: float
    error: float | None = None  # standard error
    better: Better = "none"
    protocol: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""  # why not to trust it, if so

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON, where NaN is null."""
        plain = asdict(self)
        for name in ("value", "error"):
            number = plain[name]
            plain[name] = None if number is None or not math.isfinite(number) else number
        return plain


def significantly_different(one: Figure, two: Figure) -> bool | None:
    """Whether two figures differ by more than their errors explain (95 %); None where these are not known.

    Raises:
        ValueError: they are of different protocols, so that their difference means nothing.
    """
    if one.name != two.name or dict(one.protocol) != dict(two.protocol):
        raise ValueError(f"{one.name} and {two.name} were not computed alike")
    if one.error is None or two.error is None:
        return None
    return abs(one.value - two.value) > SIGMAS * math.hypot(one.error, two.error)
