"""The two sides of a translation, before it is decided what is read together."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genlab.data import split
from genlab.data.dataset import Array, Dataset, IntArray, Rejected, Subset, Values, fingerprint

BoolArray = npt.NDArray[np.bool_]
LEAST = 2  # pictures of each side to train on
_FEW = 0.5  # share of the smaller side below which equal names are no pairs unless that is asked for


@dataclass(frozen=True)
class Side:
    """All examples of one side."""

    name: str
    where: str  # in messages
    values: Values  # (N, C, H, W)
    files: tuple[str, ...] = ()  # the path of each; () of arrays
    keys: tuple[str, ...] = ()  # pairs have the same; () of arrays, whose pairs have the same position
    held_out: BoolArray | None = None  # (N,), if the side has splits of its own
    sizes: IntArray | None = None  # (N, 2) heights and widths of the pictures, if they are cropped
    digests: Array | None = None  # (N, 16) bytes; equal only for equal pictures
    lost: Mapping[str, str] = field(default_factory=dict)  # by key: files that could not be read, and why

    def __len__(self) -> int:
        return len(self.values)

    def shown(self, row: int) -> str:
        """Return what an example is called in messages."""
        return self.files[row] if self.files else f"row {row} of {self.where}"

    @property
    def duplicates(self) -> list[str]:
        """The files that have the same name as another one."""
        counts = Counter(self.keys)
        return [file for file, key in zip(self.files, self.keys, strict=True) if counts[key] > 1]

    def rows_held_out(self, among: IntArray | None = None) -> BoolArray:
        """Return which of the rows `among`, by default of all, are held out."""
        rows = np.arange(len(self)) if among is None else among
        if self.held_out is not None:
            return self.held_out[rows]
        return split.held_out([self.keys[row] for row in rows])

    def split(self, rows: IntArray, title: str) -> Dataset:
        """Return some of the rows as a data set."""
        values = Subset(self.values, rows)
        if self.digests is None:
            mark = fingerprint(values, None)
        else:
            about = f"{values.dtype.name} {tuple(values.shape)}".encode()
            mark = hashlib.sha256(about + self.digests[rows].tobytes()).hexdigest()
        return Dataset(f"{self.name}/{title}", values, None, (), mark)


@dataclass(frozen=True)
class TwoSides:
    """Two sides that were opened, before it is decided what is read together."""

    name: str
    a: Side
    b: Side
    total: int  # files of both sides
    rejected: tuple[Rejected, ...]
    notes: Mapping[str, str]

    def noting(self, notes: Mapping[str, str]) -> "TwoSides":
        """Return the same with more notes."""
        return replace(self, notes={**self.notes, **notes})

    @cached_property
    def pairs(self) -> IntArray:
        """The rows of A and of B that belong together, (M, 2): by equal names, or by position in arrays."""
        if self.a.keys and self.b.keys:
            rows = {key: row for row, key in enumerate(self.b.keys)}
            found = [(row, rows[key]) for row, key in enumerate(self.a.keys) if key in rows]
            return np.array(found, dtype=np.int64).reshape(-1, 2)
        one, two = self.a.held_out, self.b.held_out
        arrays = not (self.a.keys or self.b.keys)
        same = arrays and one is not None and two is not None and np.array_equal(one, two)
        every = np.arange(len(self.a) if same else 0)
        return np.stack([every, every], 1)

    @cached_property
    def unmatched(self) -> tuple[IntArray, IntArray]:
        """The rows of A and of B without a partner."""
        one, two = (
            np.setdiff1d(np.arange(len(side)), self.pairs[:, at]) for at, side in enumerate((self.a, self.b))
        )
        return one, two

    @property
    def likely_pairs(self) -> bool:
        """Whether so many names are equal that these are meant to be pairs."""
        return len(self.pairs) >= max(LEAST, _FEW * min(len(self.a), len(self.b)))
