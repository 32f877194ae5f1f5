"""Cells of a table: which hold a number, which text, and which nothing."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from genlab.data.dataset import Array, IntArray

EMPTY = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})  # in any case
AT_ONCE = 4096  # rows
LARGEST = 1e100  # number: larger ones count as infinite, because their squares overflow


@dataclass(frozen=True)
class Cells:
    """The cells of a column in some rows."""

    texts: Sequence[str] | None  # without spaces at their ends, "" for nothing; None: numbers from the start
    numbers: npt.NDArray[np.float64]  # NaN for text and for nothing

    @property
    def empty(self) -> npt.NDArray[np.bool_]:
        """Which cells hold nothing, (B,)."""
        return np.isnan(self.numbers) if self.texts is None else np.array([not text for text in self.texts], bool)

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Which cells of a column of numbers cannot be used: text and infinite numbers, (B,)."""
        return (np.isnan(self.numbers) & ~self.empty) | np.isinf(self.numbers)

    def as_texts(self, *, whole: bool) -> list[str]:
        """Return the cells as text; with `whole` numbers that are whole are written without a point."""
        if self.texts is not None and not whole:
            return list(self.texts)
        given = self.texts or [""] * len(self.numbers)
        return [
            text if math.isnan(number) or math.isinf(number) else f"{number:.15g}"
            for text, number in zip(given, self.numbers.tolist(), strict=True)
        ]

    def shown(self, at: int) -> str:
        """Return a cell as messages show it."""
        return f"{self.numbers[at]:g}" if self.texts is None else f'"{self.texts[at][:20]}"'


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table."""

    rows: IntArray  # (B,) their numbers, from 0
    cells: Mapping[str, Cells]  # of each column
    ragged: Sequence[tuple[int, str]] = ()  # rows that are no rows of the table, and why


@dataclass(frozen=True)
class Raw:
    """A table as it was found."""

    name: str
    names: tuple[str, ...]  # of the columns
    count: int  # of rows
    read: Callable[[], Iterator[Chunk]]
    notes: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None  # the column that holds the labels, if the file says so


def of_texts(given: Sequence[str], *, comma: bool = False) -> Cells:
    """Return cells of text, of which some may be numbers; with `comma`, also those with a decimal comma."""
    texts = [text.strip() for text in given]
    texts = ["" if text.lower() in EMPTY else text for text in texts]
    return Cells(texts, _limited(np.array([_number(text, comma) for text in texts], np.float64)))


def of_array(values: Array) -> Cells:
    """Return the cells of an array (N,): of numbers, or of values that are written as text."""
    if values.dtype.kind in "fiu":
        return Cells(None, _limited(values.astype(np.float64)))
    return of_texts(["" if value is None else str(value) for value in values.tolist()])


def _limited(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.abs(numbers) > LARGEST, np.copysign(np.inf, numbers), numbers)


def _number(text: str, comma: bool) -> float:
    """Return a number; NaN for other text, such as 0123, whose leading zero says that it is a code."""
    if text[1:2].isdigit() and text[0] == "0":
        return math.nan
    if comma and text.count(",") == 1:
        text = text.replace(",", ".")
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
