"""Decides what the columns of a table hold: numbers, categories, one value only, or a key."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from genlab.core.column import MOST_DECIMALS, Column
from genlab.core.errors import DataError
from genlab.core.table import Table
from genlab.core.text import few
from genlab.data.dataset import IntArray, Split, chunks
from genlab.data.tables_cells import Cells

MOST_CHOICES = 128  # of a column of categories
MOST_WHOLE, LEAST_ROWS = 10, 10  # distinct whole numbers that are categories, and rows of each on average
_KEYS = 10_000  # distinct texts with which others are compared
RULE = (
    "cells that are all numbers are taken as such, but text and whole numbers with at most 10 different values, "
    "each in 10 rows or more on average, as categories"
)


@dataclass
class Survey:
    """What has been seen of a column."""

    name: str
    rows: int = 0
    empty: int = 0
    wrong: int = 0  # cells of text and infinite numbers
    texts: int = 0
    example: str = ""  # the first cell of text
    kept: set[str] = field(default_factory=set)  # distinct texts, one more than `MOST_CHOICES` at most
    keys: set[str] = field(default_factory=set)  # distinct cells of text
    repeated: bool = False  # some text stands in several rows
    values: set[float] = field(default_factory=set)  # distinct numbers, as many
    decimals: int | None = 0
    rising: bool = True  # whole numbers that rise by 1 from row to row
    last: float | None = None
    trained: set[str] = field(default_factory=set)  # the first distinct cells of training rows
    count: int = 0  # numbers of training rows, with their mean, sum of squared deviations and range
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def add(self, cells: Cells, train: npt.NDArray[np.bool_], rows: IntArray) -> None:
        """Take note of the cells of some rows, of which some are training rows."""
        text = np.isnan(cells.numbers) & ~cells.empty
        finite = np.isfinite(cells.numbers)
        if text.any() and not self.texts:
            at = int(text.argmax())
            self.example = f"{cells.shown(at)} in row {rows[at] + 1:,}"
        self.rows += len(rows)
        self.empty += int(cells.empty.sum())
        self.texts += int(text.sum())
        self.wrong += int(cells.wrong.sum())
        self._add_texts(cells, text)
        self._add_numbers(cells.numbers[finite])
        self._add_steps(cells.numbers)
        self._add_training(cells.numbers[finite & train])
        if len(self.trained) < 2:
            self.trained |= set(_some(cells, train, 2))

    def _add_texts(self, cells: Cells, text: npt.NDArray[np.bool_]) -> None:
        if cells.texts is None:
            return
        if len(self.kept) <= MOST_CHOICES:
            self.kept |= set(cells.texts) - {""}
        if text.any() and not self.repeated:
            own = [cells.texts[at] for at in np.flatnonzero(text).tolist()]
            new = set(own)
            self.repeated = len(new) < len(own) or not new.isdisjoint(self.keys)
            if len(self.keys) < _KEYS:
                self.keys |= new

    def _add_numbers(self, numbers: npt.NDArray[np.float64]) -> None:
        if len(self.values) <= MOST_CHOICES:
            self.values |= set(np.unique(numbers)[: MOST_CHOICES + 1].tolist())
        while self.decimals is not None and not np.allclose(numbers.round(self.decimals), numbers, 1e-12, 0):
            self.decimals = self.decimals + 1 if self.decimals < MOST_DECIMALS else None

    def _add_steps(self, numbers: npt.NDArray[np.float64]) -> None:
        if self.rising and len(numbers):
            steps = np.diff(numbers if self.last is None else np.insert(numbers, 0, self.last))
            self.rising, self.last = bool((steps == 1).all()), float(numbers[-1])

    def _add_training(self, numbers: npt.NDArray[np.float64]) -> None:
        """Join mean and squared deviations with those of more numbers (Chan, Golub and LeVeque, 1983)."""
        if not len(numbers):
            return
        mean, squares, count = numbers.mean(), numbers.var() * len(numbers), len(numbers)
        apart, both = mean - self.mean, self.count + count
        self.squares += float(squares + apart**2 * self.count * count / both)
        self.mean += float(apart * count / both)
        self.count = both
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))

    @property
    def whole(self) -> bool:
        """Whether all numbers are whole."""
        return self.decimals == 0

    def of_numbers(self, share: float) -> bool:
        """Return whether these are numbers, except for a `share` of rows at most, which are then rejected."""
        return bool(self.count) and self.wrong <= share * self.rows

    def key(self) -> str | None:
        """Return why the column is a key, such as a name or the number of the row; None if it is none."""
        full = self.rows > MOST_WHOLE and not self.empty
        if full and self.texts == self.rows and not self.repeated:
            return "a key: its texts are all different"
        return "a key: it counts the rows" if full and not self.texts and self.rising else None

    def constant(self) -> str | None:
        """Return the only value of the training rows; None if there are several."""
        if len(self.trained) < 2:
            return next(iter(self.trained), "")
        same = self.low == self.high and not (self.texts or self.empty)  # such as 5 and 5.0
        return f"{self.low:.15g}" if same else None

    def column(self, share: float) -> Column:
        """Return the column, whose numbers are scaled by the mean and the deviation of the training rows.

        Raises:
            DataError: too many categories.
        """
        if self.of_numbers(share):
            few_values = len(self.values) <= min(MOST_WHOLE, self.rows / LEAST_ROWS)
            if not (self.whole and few_values and not self.wrong):
                deviation = float(np.sqrt(self.squares / max(1, self.count))) or (self.high - self.low) / 2
                return Column(
                    self.name, (), self.mean, deviation or 1.0, self.low, self.high, self.decimals, self.empty > 0
                )
            return Column(self.name, self._with_empty([f"{value:.15g}" for value in sorted(self.values)]))
        if not self.texts:
            raise DataError(
                f'column "{self.name}" has {self.wrong:,} infinite numbers in {self.rows:,} rows. Replace them, '
                f"such as by nothing, a missing value, or leave the column out: --ignore {self.name}."
            )
        if len(self.kept) > MOST_CHOICES:
            numbers = self.rows - self.empty - self.texts
            mixed = f"; {numbers:,} cells are numbers and {self.texts:,} text" if numbers else ""
            raise DataError(
                f'column "{self.name}" holds text, such as {self.example}, with more than {MOST_CHOICES} '
                f"different values{mixed}. Leave it out, --ignore {self.name}, or replace it by numbers or fewer "
                "categories."
            )
        return Column(self.name, self._with_empty(sorted(self.kept)))

    def _with_empty(self, choices: list[str]) -> tuple[str, ...]:
        return (*choices, *([""] if self.empty else []))


def _some(cells: Cells, chosen: npt.NDArray[np.bool_], most: int) -> list[str]:
    """Return the first distinct cells of chosen rows, as text."""
    if cells.texts is not None:
        return list(dict.fromkeys(text for text, each in zip(cells.texts, chosen, strict=True) if each))[:most]
    return ["" if np.isnan(x) else f"{x:.15g}" for x in np.unique(cells.numbers[chosen])[:most].tolist()]


def values_of(column: Column, cells: Cells) -> npt.NDArray[np.float64] | list[str]:
    """Return cells as `Column.encode` takes them."""
    if not column.choices:
        return cells.numbers
    return cells.as_texts(whole=all(choice.lstrip("-").isdigit() or not choice for choice in column.choices))


def described(split: Split) -> list[dict[str, str]]:
    """Return what each column of a table holds, in how many rows it is missing, and how it is scaled, in words."""
    if not isinstance(split.spec.target, Table):
        return []
    parts, empty = list(split.spec.target.parts()), np.zeros(split.spec.target.shape, np.int64)
    for entries in chunks(split.values):
        empty += (entries > 0).sum(0)
    missing = [int(empty[at][-1]) if column.missing or "" in column.choices else 0 for column, at in parts]
    return [_described(column, count) for (column, _), count in zip(parts, missing, strict=True)]


def _described(column: Column, empty: int) -> dict[str, str]:
    if column.choices:
        known = [choice or "missing" for choice in column.choices]
        kind, holds = f"{len(known)} categories", few(known, 6)
        scale = "1 for its own category, -1 for the others"
    else:
        digits = "any" if column.decimals is None else column.decimals
        kind = "whole numbers" if column.decimals == 0 else f"numbers, {digits} decimals"
        holds, scale = (
            f"{column.low:.6g} to {column.high:.6g}",
            f"(x - {column.mean:.4g}) / {column.deviation:.4g}",
        )
    return {"name": column.name, "kind": kind, "holds": holds, "missing": f"{empty:,} missing", "scale": scale}
