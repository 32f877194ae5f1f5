"""Sources and their splits: examples that behave like an array, their labels, and a fingerprint of both."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from genlab.core.batch import Batch
from genlab.core.condition import Condition
from genlab.core.modality import BYTES, Classes, DataSpec, Images, Modality, Points
from genlab.core.text import counted

Array = npt.NDArray[Any]
IntArray = npt.NDArray[np.int64]

_CHUNK, _NUMBERS = 4096, 2**26  # most examples, and numbers, read at a time when a whole split is read


class Values(Protocol):
    """Examples as an array: an ndarray, a memory map, or a view of either."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """`uint8` in 0..255 or `float32` in [-1, 1]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(N, C, H, W)` for images, `(N, D)` for points."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: IntArray, /) -> Array: ...


@dataclass(frozen=True)
class Subset:
    """The given rows of other values, in their order."""

    values: Values
    rows: IntArray

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the other values."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`(len(rows), C, H, W)`."""
        return (len(self.rows), *self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return _shown(self)

    def __getitem__(self, index: IntArray, /) -> Array:
        return self.values[self.rows[index]]


@dataclass(frozen=True)
class Stacked:
    """Colour images composed when they are read: image i has three grey images as its colour channels."""

    values: Values  # (N, 1, H, W)
    triples: IntArray  # (M, 3) rows of `values` for red, green, blue

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the grey images."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`(M, 3, H, W)`."""
        return (len(self.triples), 3, *self.values.shape[2:])

    def __len__(self) -> int:
        return len(self.triples)

    def __repr__(self) -> str:
        return _shown(self)

    def __getitem__(self, index: IntArray, /) -> Array:
        grey = self.values[self.triples[index].reshape(-1)]
        return grey.reshape(len(index), 3, *self.values.shape[2:])


@dataclass(frozen=True)
class Joined:
    """The rows of one array, followed by those of another."""

    first: Values
    second: Values

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of both arrays."""
        return self.first.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`(len(first) + len(second), C, H, W)`."""
        return (len(self), *self.first.shape[1:])

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __repr__(self) -> str:
        return _shown(self)

    def __getitem__(self, index: IntArray, /) -> Array:
        out = np.empty((len(index), *self.first.shape[1:]), dtype=self.dtype)
        in_first = index < len(self.first)
        out[in_first] = self.first[index[in_first]]
        out[~in_first] = self.second[index[~in_first] - len(self.first)]
        return out


class Split(Protocol):
    """One part of a source, such as its training data: examples with their conditions, by position."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    @property
    def fingerprint(self) -> str:
        """A hexadecimal hash: the same on every machine that decodes the same examples to the same bytes."""

    @property
    def spec(self) -> DataSpec:
        """The modalities of the examples and of their conditions."""

    @property
    def values(self) -> Values:
        """The examples as they are stored."""

    @property
    def labels(self) -> IntArray | None:
        """The class of each example, (N,); None for data without labels."""

    def __len__(self) -> int: ...

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the examples at `index` (B,) as of the epochs `epoch` (B,), by default of the first."""


@dataclass(frozen=True)
class Dataset:
    """One part of a source, held as arrays."""

    name: str
    values: Values  # images (N, C, H, W), uint8 in 0..255 or float32 in [-1, 1], points or rows of tables (N, D)
    labels: IntArray | None  # (N,)
    classes: tuple[str, ...]  # names of the labels; () without labels
    fingerprint: str  # sha256 (hex) of values and labels
    target: Modality | None = None  # what the examples are; None: the shape and the type of the values say it
    named: Callable[[], Sequence[str]] | None = field(
        default=None, compare=False, repr=False
    )  # names of the files

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {counted(len(self), 'example')}, {self.modality}>"

    @property
    def modality(self) -> Modality:
        """What the examples are; if it is not given, images of bytes or of real numbers, or points."""
        if self.target is not None:
            return self.target
        shape = self.values.shape[1:]
        if len(shape) == 1:
            return Points(shape[0])
        channels, height, width = shape
        return Images(channels, height, width, BYTES if self.values.dtype == np.uint8 else None)

    @property
    def spec(self) -> DataSpec:
        """The modality, with the condition "label" if there are labels."""
        return DataSpec(self.modality, {} if self.labels is None else {"label": Classes(self.classes)})

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the examples at `index` (B,) as float32 (B, *shape): x / 127.5 - 1 for bytes.

        Byte 0 becomes exactly -1 and byte 255 exactly 1.
        """
        images = torch.from_numpy(as_floats(self.values[index]))
        condition = {} if self.labels is None else {"label": torch.from_numpy(self.labels[index])}
        return Batch(images, torch.from_numpy(np.array(index, dtype=np.int64)), condition)


def names_of(split: Split) -> Sequence[str]:
    """Return the names of examples: those of their files, or else their positions."""
    named: Callable[[], Sequence[str]] | None = getattr(split, "named", None)
    return named() if named else [str(at) for at in range(len(split))]


@dataclass(frozen=True)
class Rejected:
    """A file that was found but could not be used as a picture."""

    path: str  # relative to the source; unprintable characters are escaped
    reason: str


@dataclass(frozen=True)
class Source:
    """An opened source: its two splits, and an account of all files that were found.

    For a folder or a zip, `total` counts all files except dotfiles and those in dot-folders and `__MACOSX`, and
    `len(train) + len(held_out) + len(rejected) == total`. Of data with two sides all files count, those of A and
    of B: the ones that are used and `len(rejected)` add up to `total`.
    """

    name: str
    train: Split
    held_out: Split
    total: int
    rejected: tuple[Rejected, ...] = ()
    modes: Array | None = None  # (K, 2), centres of the modes of a toy, scaled like its points
    mode_spread: float | None = None  # standard deviation of each mode, in the same units
    notes: Mapping[str, str] = field(default_factory=dict)  # what was recognised and decided, in words
    domains: tuple[str, ...] = ()  # names of the source and of the target, of data to translate

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} for training, {len(self.held_out):,} held out"
        return f"<Source {self.name}: {sizes}, {self.train.spec.target}>"


def _shown(values: Values) -> str:
    return f"<{type(values).__name__} {values.dtype} {values.shape}>"


def chunks(values: Values) -> Iterator[Array]:
    """Yield all examples in order, a few thousand at a time, and fewer of large pictures."""
    each = max(1, min(_CHUNK, _NUMBERS // math.prod(values.shape[1:])))
    for start in range(0, len(values), each):
        yield values[np.arange(start, min(start + each, len(values)))]


def as_floats(values: Array) -> Array:
    """Return float32 in [-1, 1]: x / 127.5 - 1 of bytes, floats as they are."""
    if values.dtype != np.uint8:
        return values
    # By NumPy, which computes in this thread: torch would start a team of threads of its own for the loader's
    # thread, in the way of those that train.
    floats = values.astype(np.float32)
    floats /= np.float32(127.5)
    floats -= np.float32(1)
    return floats


def fingerprint(values: Values, labels: IntArray | None) -> str:
    """Return the sha256 (hex) of the type, the shape, the values and the labels."""
    digest = hashlib.sha256(f"{values.dtype.name} {tuple(values.shape)}".encode())
    for chunk in chunks(values):
        digest.update(np.ascontiguousarray(chunk).data)
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def make_dataset(name: str, values: Values, labels: IntArray | None, classes: tuple[str, ...]) -> Dataset:
    """Return a dataset with its fingerprint."""
    return Dataset(name, values, labels, classes, fingerprint(values, labels))


def conditions_of(split: Split, index: IntArray, names: Iterable[str]) -> Condition:
    """Return the conditions `names` of the examples at `index`, without the examples themselves."""
    wanted = set(names) & split.spec.conditions.keys()
    if split.labels is not None and wanted <= {"label"}:
        return {name: torch.from_numpy(split.labels[index]) for name in wanted}
    chunks = np.array_split(index, -(-len(index) // _CHUNK) or 1)
    parts = [split.batch(rows).condition_for(wanted) for rows in chunks]
    return {name: torch.cat([part[name] for part in parts]) for name in wanted}


def joined(one: Split, two: Split) -> Dataset:
    """Return two splits of a source as one dataset."""
    labels = None
    if one.labels is not None and two.labels is not None:
        labels = np.concatenate([one.labels, two.labels])
    both = hashlib.sha256(f"{one.fingerprint} {two.fingerprint}".encode()).hexdigest()
    values, spec = Joined(one.values, two.values), one.spec
    return Dataset(f"{one.name}+{two.name}", values, labels, spec.class_names, both, spec.target)
