"""Finds which values of an array are black and white, and maps them to bytes or to float32 in [-1, 1]."""

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from genlab.core.errors import DataError, UsageError
from genlab.data.dataset import Array

_CHUNK = 2**22  # values that are converted at a time
_NEAR = 0.05  # how close floats come to both ends of a range, as a share of it, for the range to be recognised
_DARK = 32  # bytes that are all below may have been made for another range, such as 0 to 1 or 0 to 16
_OVERSHOOT = 0.02  # how far values lie outside a range, as a share of it, for it to be the likely one
_LOPSIDED = 2  # the ratio of both ends from which values do not look standardised
_EXACT = 1e-4  # of a level: how close all values are to bytes to be stored as bytes
SLACK = 1 / 255  # how far floats in a file may lie outside their range, by rounding; they are clipped


@dataclass(frozen=True)
class How:
    """How ranges are found: how far values may lie outside, and how a user gives a range."""

    slack: float
    give: str  # with the placeholders {low} and {high}


IN_PYTHON = How(0, "genlab.as_source(x, range=({low}, {high}))")
IN_A_FILE = How(SLACK, "--range {low} {high}")


@dataclass(frozen=True)
class Part:
    """The examples for training, or those held out, as they were given."""

    what: str  # its name in messages
    values: Array
    labels: object = None  # one for each example

    @property
    def about(self) -> str:
        """Its name, shape and type."""
        return f"{self.what} of shape {self.values.shape} and type {self.values.dtype}"


def limits(
    parts: Sequence[Part], given: tuple[float, float] | None, how: How = IN_PYTHON
) -> tuple[float, float, str]:
    """Return the values of black and white, and how they were found.

    Bytes are 0..255, unless all are dark. Floats are recognised only if they reach nearly both ends of [-1, 1] or
    of [0, 1], so that centred, standardised or dark pictures are never misread.

    Raises:
        DataError: values that are not finite, outside the `given` limits, or whose limits are not certain.
    """
    extents = [extent(part) for part in parts]
    if given is not None:
        low, high = limits_given(parts, extents, given, how.slack)
        return low, high, f"{low:g} to {high:g}, as given{_clipped(low, high, extents)}"
    kinds = [{part.values.dtype.name} for part in parts]
    alone = {_recognised(kind, *its, how.slack) for kind, its in zip(kinds, extents, strict=True)}
    if len(alone - {None}) > 1:
        raise DataError(
            f"{seen(parts, extents)}: they are on different scales. Give both on the same one, for example both "
            "as bytes, or both as floats in [0, 1]."
        )
    least, most = min(low for low, _ in extents), max(high for _, high in extents)
    if found := _recognised(set().union(*kinds), least, most, how.slack):
        low, high, name = found
        return low, high, name + _clipped(low, high, extents)
    raise DataError(
        f"{seen(parts, extents)}: it is not certain which values are black and white. {_advice(extents, how)}"
    )


def _clipped(low: float, high: float, extents: Sequence[tuple[float, float]]) -> str:
    """Return what is to be noted about values that lie outside the limits, or an empty string."""
    least, most = min(low for low, _ in extents), max(high for _, high in extents)
    return "" if low <= least and most <= high else f"; values from {least:.9g} to {most:.9g} were clipped to it"


def _recognised(types: Set[str], least: float, most: float, slack: float) -> tuple[float, float, str] | None:
    """Return the values of black and white of types and values that leave no doubt, and their name."""
    if types == {"uint8"} and not 0 < most < _DARK:
        return 0, 255, "bytes 0..255"
    for low, high in ((0, 1), (-1, 1)) if all("float" in type_ for type_ in types) else ():
        near = _NEAR * (high - low)
        if low - slack <= least <= low + near and high - near <= most <= high + slack:
            return low, high, f"floats in [{low}, {high}]"
    return None


def _advice(extents: Sequence[tuple[float, float]], how: How) -> str:
    """Return what to do about values whose range is not certain, without a range that would distort them."""
    least, most = min(low for low, _ in extents), max(high for _, high in extents)
    widths = [high - low for low, high in extents]
    if max(widths) > 10 * min(widths):
        return "Their parts are on different scales: give both on the same one."
    for black, white in ((0, 1), (-1, 1), (0, 255)):
        if black <= least and most <= white:
            continue
        near, over = _NEAR * (white - black), _OVERSHOOT * (white - black)
        if -over <= least - black <= near and -near <= most - white <= over:
            return (
                f"Some lie slightly outside [{black}, {white}], as bicubic resizing leaves them. Clip them first: "
                f"x.clip({black}, {white}); or give the range: {how.give.format(low='…', high='…')}."
            )
    if least < -1 and most > 1 and 1 / _LOPSIDED <= -least / most <= _LOPSIDED and most < _DARK:
        return (
            "They look standardised. Undo that, x * std + mean, so that they lie in [0, 1]; or give the "
            f"range: {how.give.format(low='…', high='…')}."
        )
    low, high = _likely(least, most)
    return f"Give the range, for example: {how.give.format(low=f'{low:g}', high=f'{high:g}')}."


def _likely(least: float, most: float) -> tuple[float, float]:
    """Return a range for an example: a common one, or that of the values."""
    if least >= 0 and most <= 1:
        return 0, 1
    if -1 <= least < -0.75 and most <= 1:
        return -1, 1
    for top in (255, 65535):
        if least >= 0 and top / 2 < most <= top:
            return 0, top
    return math.floor(least * 10) / 10, math.ceil(most * 10) / 10


def limits_given(
    parts: Sequence[Part], extents: Sequence[tuple[float, float]], given: tuple[float, float], slack: float = 0
) -> tuple[float, float]:
    """Return the limits that were given; floats may lie outside by `slack`, or as much of a narrower range.

    Raises:
        UsageError: not two numbers in order.
        DataError: values outside them.
    """
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError("range takes two numbers, the lower one first, such as range=(0, 255).")
    for part, (least, most) in zip(parts, extents, strict=True):
        real = part.values.dtype.kind == "f"
        type_, over = part.values.dtype.type if real else np.float64, slack * min(1, high - low) if real else 0
        if least < type_(low - over) or most > type_(high + over):
            raise DataError(
                f"{part.about} has values from {least:g} to {most:g}, outside range=({low:g}, {high:g})."
            )
    return low, high


def seen(parts: Sequence[Part], extents: Sequence[tuple[float, float]]) -> str:
    """Return the name, shape, type and range of each part."""
    return " and ".join(
        f"{part.about} with values from {low:g} to {high:g}"
        for part, (low, high) in zip(parts, extents, strict=True)
    )


def _chunks(values: Array) -> Iterator[tuple[int, Array]]:
    """Yield the position of the first row and the rows, a few million values at a time."""
    rows = max(1, _CHUNK // math.prod(values.shape[1:]))
    for start in range(0, len(values), rows):
        yield start, values[start : start + rows]


def extent(part: Part) -> tuple[float, float]:
    """Return the least and the greatest value.

    Raises:
        DataError: a value that is not finite.
    """
    low, high, bad, first = math.inf, -math.inf, 0, ""
    for start, chunk in _chunks(part.values):
        finite = np.isfinite(chunk)
        if not finite.all():
            bad += int((~finite).sum())
            row, *rest = (int(place) for place in np.argwhere(~finite)[0])
            first = first or str((start + row, *rest))
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
    if bad:
        raise DataError(f"{part.about} has {bad:,} values that are NaN or infinite, the first at {first}.")
    return low, high


def stored(parts: Sequence[Array], low: float, high: float, *, rounded: bool) -> tuple[list[Array], str]:
    """Return images as bytes if that is exact or they are to be `rounded`, else as float32; and which."""
    for rounding in (False, True) if rounded else (False,):
        levels = [found for part in parts if (found := _levels(part, low, high, rounded=rounding)) is not None]
        if len(levels) == len(parts):
            return levels, "bytes, rounded to be resized" if rounding else "bytes"
    return [floats(part, low, high) for part in parts], "float32 in [-1, 1], because the values are not bytes"


def _levels(values: Array, low: float, high: float, *, rounded: bool) -> Array | None:
    """Return bytes, 0 for `low` and 255 for `high`; None if that is not exact and they are not to be `rounded`."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    out = np.empty(values.shape, np.uint8)
    for start, chunk in _chunks(values):
        exact = ((chunk.astype(np.float64) - low) * (255 / (high - low))).clip(0, 255)
        nearest = np.rint(exact)
        if not rounded and float(np.abs(exact - nearest).max()) > _EXACT:
            return None
        out[start : start + len(chunk)] = nearest
    return out


def floats(values: Array, low: float, high: float) -> Array:
    """Return float32, -1 for `low` and 1 for `high`."""
    if (low, high) == (-1, 1):
        return np.ascontiguousarray(values.astype(np.float32, copy=False))
    out = np.empty(values.shape, np.float32)
    for start, chunk in _chunks(values):
        out[start : start + len(chunk)] = (chunk.astype(np.float64) - low) * (2 / (high - low)) - 1
    return np.clip(out, -1, 1, out=out)  # the ends may differ from -1 and 1 by rounding


def nearest_bytes(values: Array, low: float, high: float) -> Array:
    """Return the nearest bytes, 0 for `low` and 255 for `high`; values outside are clipped."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    out = np.empty(values.shape, np.uint8)
    for start, chunk in _chunks(values):
        levels = (chunk.astype(np.float32) - low) * (255 / (high - low))
        out[start : start + len(chunk)] = np.rint(levels).clip(0, 255)
    return out
