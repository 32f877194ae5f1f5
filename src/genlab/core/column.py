"""Columns of tables: values as entries, and entries as values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

Value: TypeAlias = "float | int | str | None"  # of a row in a column; None is a missing one
FARTHEST = 1e6  # deviations from the mean: what is farther is taken to be so far, lest squares overflow
BINS = 24  # of the histogram of a column of numbers
MOST_DECIMALS = 8  # that are counted
_DIGITS = 9  # of numbers with more decimals than are counted
_NAMED = 40  # characters of the choices below a histogram


@dataclass(frozen=True)
class Column:
    """A column of a table: numbers, or categories if it has `choices`.

    A number x takes the entry (x − mean) / deviation; if values are `missing` in the training rows, a second
    entry says so: 1 for a missing value, whose first entry is 0, and −1 for any other. A category takes one entry
    for each choice: 1 for its own and −1 for the others.
    """

    name: str
    choices: tuple[str, ...] = ()
    mean: float = 0.0  # of the training rows, as are all that follow
    deviation: float = 1.0
    low: float = 0.0
    high: float = 0.0
    decimals: int | None = None  # digits after the point, 0 for whole numbers; None: as many as float64 has
    missing: bool = False  # of categories, a missing value is a choice: ""
    shares: tuple[float, ...] = ()  # of the rows in each bin of the histogram, as `shares_of` returns them

    def __post_init__(self) -> None:
        numbers = (self.mean, self.deviation, self.low, self.high, *self.shares)
        if not (all(map(math.isfinite, numbers)) and self.deviation > 0):
            raise ValueError(f"{numbers} are no mean, deviation and range of a column")
        if self.decimals not in (None, *range(MOST_DECIMALS + 1)):
            raise ValueError(f"{self.decimals} is no number of decimals")
        if not all(isinstance(text, str) for text in (self.name, *self.choices)):
            raise ValueError("a name or a choice of a column is not text")

    @property
    def width(self) -> int:
        """Number of entries."""
        return len(self.choices) or 1 + self.missing

    def encode(self, values: npt.NDArray[np.float64] | Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the entries (B, width) of a value for each row.

        Args:
            values: numbers, NaN for missing ones; or texts, "" for missing ones. A text that is no choice has −1
                in all entries. A missing number has the entry 0, also if none was missing in the training rows.
        """
        if self.choices:
            places = {choice: place for place, choice in enumerate(self.choices)}
            own = np.array([places.get(str(text), -1) for text in values], np.int64)
            return np.where(own[:, None] == np.arange(len(self.choices)), 1, -1).astype(np.float32)
        numbers = np.asarray(values, np.float64)
        gone = np.isnan(numbers)
        scaled = ((numbers - self.mean) / self.deviation).clip(-FARTHEST, FARTHEST)
        entries = [np.where(gone, 0, scaled), np.where(gone, 1, -1)]
        return np.stack(entries[: self.width], 1).astype(np.float32)

    def decode(self, entries: Tensor) -> list[Value]:
        """Return the value of each row of entries (B, width).

        The category is that of the largest entry. Numbers are clipped to the range of the training rows and
        rounded to their decimals; they are missing where the second entry is above 0.
        """
        if self.choices:
            return [self.choices[place] or None for place in entries.argmax(1).tolist()]
        numbers = self.mean + self.deviation * entries[:, 0].double().cpu().numpy()
        if self.low < self.high:
            numbers = numbers.clip(self.low, self.high)
        gone = entries[:, 1].gt(0).tolist() if self.missing else [False] * len(entries)
        return [None if empty else self._rounded(x) for x, empty in zip(numbers.tolist(), gone, strict=True)]

    def _rounded(self, number: float) -> float | int:
        if self.decimals is None:
            return float(f"{number:.{_DIGITS}g}")
        return round(number, self.decimals) + 0.0 if self.decimals else round(number)  # + 0.0: no -0.0

    def text(self, value: Value) -> str:
        """Return a value as a file shows it: with all its decimals, and nothing if it is missing."""
        if isinstance(value, float) and self.decimals:
            return f"{value:.{self.decimals}f}"
        return "" if value is None else str(value)

    def shares_of(self, entries: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the share of rows (bins,) in each bin of a histogram of entries (B, width).

        These are the choices; or 24 equal parts of the range of the training rows, of which the first and the last
        include what lies outside, and the missing ones.
        """
        if self.choices:
            counts = np.bincount(entries.argmax(1), minlength=len(self.choices))
            return counts / max(1, len(entries))
        gone = entries[:, 1] > 0 if self.missing else np.zeros(len(entries), bool)
        scaled = entries[~gone, 0]
        ends = [(end - self.mean) / self.deviation for end in (self.low, self.high)]
        if not self.low < self.high:
            ends = [float(scaled.min(initial=0)), float(scaled.max(initial=0)) + 1e-6]
        bins = ((scaled - ends[0]) * (BINS / (ends[1] - ends[0]))).clip(0, BINS - 1).astype(np.int64)
        counts = np.append(np.bincount(bins, minlength=BINS), [gone.sum()] * self.missing)
        return counts / max(1, len(entries))

    @property
    def caption(self) -> str:
        """What stands above its histogram: the name, and the range or the choices."""
        if not self.choices:
            return f"{self.name}: {self.low:.4g} to {self.high:.4g}" if self.low < self.high else self.name
        choices = " | ".join(choice or "missing" for choice in self.choices)
        return f"{self.name}: {choices if len(choices) <= _NAMED else f'{choices[: _NAMED - 3]}...'}"
