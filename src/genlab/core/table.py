"""Tables: rows of numbers and categories, as vectors that networks take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlab.core.column import Column, Value
from genlab.core.dequantisation import MIDDLE, normal_quantile
from genlab.core.histograms import Histogram, histogram_grid
from genlab.core.pictures import Picture
from genlab.core.real_numbers import RealNumbers

MOST_ENTRIES = 2**16  # of a row
WIDEST = 0.25  # interval of a rounded number, in deviations: a wider one hides how rare a value is


@dataclass(frozen=True, repr=False)
class Table(RealNumbers):
    """Rows of a table as vectors (D,): the entries of its columns, one column after the other."""

    kind: ClassVar[str] = "table"
    noun: ClassVar[str] = "rows"
    spatial: ClassVar[int] = 0
    bounded: ClassVar[bool] = False
    fine: ClassVar[bool] = False
    exact: ClassVar[bool] = True
    shown: ClassVar[int] = 1024

    columns: tuple[Column, ...]
    header: tuple[str, ...] = ()  # names as in the file, with constants and the label; () is those of `columns`
    constants: tuple[tuple[str, str], ...] = ()  # names and values of columns that are constant: without entries
    ignored: tuple[str, ...] = ()  # columns that were left out
    label: str | None = None  # the column of the labels, which has no entries

    def __post_init__(self) -> None:
        columns: Sequence[Any] = self.columns  # from YAML: mappings
        made = tuple(each if isinstance(each, Column) else _column(each) for each in columns)
        object.__setattr__(self, "columns", made)
        if not 0 < sum(column.width for column in made) <= MOST_ENTRIES:
            raise ValueError(f"a row has 1 to {MOST_ENTRIES:,} entries")
        object.__setattr__(self, "constants", tuple((name, value) for name, value in self.constants))
        texts = (*self.header, *chain(*self.constants), *self.ignored, self.label or "")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a name of a column is not text")

    def __repr__(self) -> str:
        return f"Table({len(self.columns)} columns, {self.shape[0]} entries)"

    @property
    def shape(self) -> tuple[int]:  # type: ignore[override]
        """(D,), the number of entries."""
        return (sum(column.width for column in self.columns),)

    @property
    def levels(self) -> None:
        """None: rows have a density."""
        return None

    def parts(self) -> Iterator[tuple[Column, slice]]:
        """Yield each column with the place of its entries."""
        start = 0
        for column in self.columns:
            yield column, slice(start, start + column.width)
            start += column.width

    def names(self, *, labelled: bool = False) -> list[str]:
        """Return the names of the columns in the order of the file; that of the label only if `labelled`."""
        names = self.header or [column.name for column in self.columns]
        return [name for name in names if labelled or name != self.label]

    def decode(self, x: Tensor, labels: Sequence[str] | None = None) -> Iterator[dict[str, Value]]:
        """Yield a row of values by name for each row of entries (B, D), as it would stand in the file.

        Columns that are constant have their value; the column of the labels is there if `labels` are given.
        """
        found: dict[str, Sequence[Value]] = {column.name: column.decode(x[:, at]) for column, at in self.parts()}
        found |= {name: [value] * len(x) for name, value in self.constants}
        if self.label is not None and labels is not None:
            found[self.label] = labels
        names = self.names(labelled=labels is not None)
        for row in zip(*(found[name] for name in names), strict=True):
            yield dict(zip(names, row, strict=True))

    def texts(self, x: Tensor, labels: Sequence[str] | None = None) -> Iterator[list[str]]:
        """Yield the rows of `decode` as the cells of a file."""
        known = {column.name: column.text for column in self.columns}
        for row in self.decode(x, labels):
            yield [known[name](value) if name in known else str(value) for name, value in row.items()]

    def squash(self, x: Tensor) -> Tensor:
        """Return the mean of the entries that raw outputs (B, D) stand for.

        Probabilities p of categories, and of a missing value, become 2p − 1; numbers stay as they are, times the
        probability that they are not missing.
        """
        made = []
        for column, at in self.parts():
            entries = x[:, at]
            if column.choices:
                entries = 2 * entries.softmax(1) - 1
            elif column.missing:
                missing = entries[:, 1:].tanh()
                entries = torch.cat([entries[:, :1] * (1 - missing) / 2, missing], 1)
            made.append(entries)
        return torch.cat(made, 1)

    def _flags(self, device: torch.device) -> Tensor:
        """Return the places of the entries that say whether the number before is missing."""
        places = [at.stop - 1 for column, at in self.parts() if not column.choices and column.missing]
        return torch.tensor(places, dtype=torch.int64, device=device)

    def _steps(self, device: torch.device) -> Tensor:
        """Return the width of the interval over which numbers are spread, (D,), and −1 for entries of ±1."""
        steps = [-1.0] * self.shape[0]
        for column, at in self.parts():
            if not column.choices:
                apart = 0 if column.decimals is None else 10.0**-column.decimals / column.deviation
                steps[at.start] = min(apart, WIDEST)
        return torch.tensor(steps, device=device)

    def dequantise(self, x: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return rows with −1 spread over [−1, 0), 1 over [0, 1), and rounded numbers over an interval.

        It is the interval that rounds to the number, or its middle part of the width `WIDEST`. The density is per
        unit of the entries. In place of a missing number there is a standard normal one, whose density is divided
        out.
        """
        steps, flags = self._steps(x.device), self._flags(x.device)
        made = torch.where(steps < 0, (x > 0).to(x.dtype) - 1 + draws, x + (draws - MIDDLE) * steps)
        uniform = torch.as_tensor(draws, device=x.device, dtype=x.dtype).expand(x.shape)[:, flags - 1]
        missing, (normal, cost) = x[:, flags] > 0, normal_quantile(uniform)
        filled = torch.where(missing, normal, made[:, flags - 1])
        return made.index_copy(1, flags - 1, filled), (cost * missing).sum(1)

    def quantise(self, numbers: Tensor) -> Tensor:
        """Return rows whose entries of ±1 are clipped, and 0 in place of missing numbers."""
        flags = self._flags(numbers.device)
        made = torch.where(self._steps(numbers.device) < 0, (2 * numbers).clamp(-1, 1), numbers)
        present = made[:, flags - 1] * (made[:, flags] <= 0)
        return made.index_copy(1, flags - 1, present)

    def snap(self, rows: Tensor) -> Tensor:
        """Return rows with values that their columns can have: rounded and limited numbers, one category each."""
        made = rows.clone()
        for column, at in self.parts():
            entries = rows[:, at]
            if column.choices:
                made[:, at] = 2.0 * one_hot(entries.argmax(1), len(column.choices)) - 1
                continue
            numbers = entries[:, 0].double() * column.deviation + column.mean
            if column.low < column.high:
                numbers = numbers.clamp(column.low, column.high)
            if column.decimals is not None:
                numbers = numbers.round(decimals=column.decimals)
            made[:, at.start] = (numbers - column.mean) / column.deviation
            if column.missing:
                missing = entries[:, 1] > 0
                made[:, at.start] *= ~missing
                made[:, at.stop - 1] = 2.0 * missing - 1
        return made

    def widened(self, channels: int) -> "Table":
        """Return a table with `channels` more columns of numbers."""
        return Table((*self.columns, *(Column(f"extra {at}") for at in range(channels))))

    def draw(self, x: Tensor, columns: int | None = None) -> Picture:
        """Draw a histogram of each column, with that of the training rows as a line; `columns` side by side."""
        entries = x.detach().float().cpu().numpy()
        each = [
            Histogram(column.caption, column.shares_of(entries[:, at]), column.shares)
            for column, at in self.parts()
        ]
        return histogram_grid(each, columns)


def _column(plain: Any) -> Column:  # noqa: ANN401
    values = dict(plain)
    return Column(**{**values, **{name: tuple(values.get(name, ())) for name in ("choices", "shares")}})
