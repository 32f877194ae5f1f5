"""Measured figures, each with its error and the protocol by which it was computed."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Better = Literal["lower", "higher", "none"]
SIGMAS = 1.96  # standard errors of a difference that is significant (95 %)


@dataclass(frozen=True)
class Figure:
    """A number with its error, and everything that its value depends on."""

    name: str
    value: float
    error: float | None = None  # standard error; None if unknown
    better: Better = "none"
    protocol: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""  # a caveat, if there is one
    floor: float | None = None  # the same measure without a model, such as that of untranslated sources

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Figure":
        """Return the figure that `values` returned as plain values.

        Raises:
            KeyError, TypeError, ValueError: they are not those of a figure.
        """
        number = values["value"]
        texts = values["name"], values.get("note", "")
        numbers = number, values.get("error"), values.get("floor")
        if not (
            all(isinstance(text, str) for text in texts)
            and all(value is None or isinstance(value, int | float) for value in numbers)
            and values.get("better", "none") in get_args(Better)
            and isinstance(values.get("protocol", {}), dict)
        ):
            raise ValueError(f"not a figure: {values!r:.80}")
        return cls(**{**values, "value": math.nan if number is None else number})

    def values(self) -> dict[str, Any]:
        """Return the figure as plain values for JSON, with NaN as null, and a floor only if there is one."""
        plain = asdict(self)
        if self.floor is None:
            del plain["floor"]
        for name in plain.keys() & {"value", "error", "floor"}:
            number = plain[name]
            plain[name] = None if number is None or not math.isfinite(number) else number
        return plain


def significantly_different(one: Figure, two: Figure) -> bool | None:
    """Return whether two figures differ significantly (95 %); None if an error is unknown.

    Raises:
        ValueError: the figures have different names or protocols, so they cannot be compared.
    """
    if one.name != two.name or dict(one.protocol) != dict(two.protocol):
        raise ValueError(f"{one.name} and {two.name} were computed by different protocols")
    if one.error is None or two.error is None:
        return None
    return abs(one.value - two.value) > SIGMAS * math.hypot(one.error, two.error)


def written(figure: Figure) -> str:
    """Return a figure with its standard error, rounded to significant digits."""
    if figure.error is None or not math.isfinite(figure.error) or figure.error == 0:
        return f"{figure.value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(figure.error)))
    return f"{figure.value:.{digits}f} ± {figure.error:.{digits}f}"
