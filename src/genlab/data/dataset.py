"""One split of a source: images that behave like an array, their labels, and a fingerprint of both."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from genlab.core.batch import Batch
from genlab.core.condition import Condition
from genlab.core.modality import BYTES, Classes, DataSpec, Images, Modality, Points

Array = npt.NDArray[Any]
IntArray = npt.NDArray[np.int64]

_CHUNK = 4096  # images read at a time where a whole split is walked through


class Values(Protocol):
    """What behaves like an array of images: an ndarray, a memory map, or a view of either."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """`uint8` in 0..255 or `float32` in [-1, 1]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(N, C, H, W)` of images, `(N, D)` of points."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: IntArray, /) -> Array: ...


@dataclass(frozen=True)
class Subset:
    """Some rows of other values, in the order of `rows`."""

    values: Values
    rows: IntArray

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values below."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`(len(rows), C, H, W)`."""
        return (len(self.rows), *self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: IntArray, /) -> Array:
        return self.values[self.rows[index]]


@dataclass(frozen=True)
class Stacked:
    """Colour images composed on reading: row i shows three grey images, one per colour channel."""

    values: Values  # (N, 1, H, W)
    triples: IntArray  # (M, 3) rows of `values` for red, green, blue

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the grey images."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`(M, 3, H, W)`."""
        return (len(self.triples), 3, *self.values.shape[2:])

    def __len__(self) -> int:
        return len(self.triples)

    def __getitem__(self, index: IntArray, /) -> Array:
        grey = self.values[self.triples[index].reshape(-1)]
        return grey.reshape(len(index), 3, *self.values.shape[2:])


@dataclass(frozen=True)
class Joined:
    """The rows of one array and then those of another."""

    first: Values
    second: Values

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of both."""
        return self.first.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`(len(first) + len(second), C, H, W)`."""
        return (len(self), *self.first.shape[1:])

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, index: IntArray, /) -> Array:
        out = np.empty((len(index), *self.first.shape[1:]), dtype=self.dtype)
        early = index < len(self.first)
        out[early] = self.first[index[early]]
        out[~early] = self.second[index[~early] - len(self.first)]
        return out


class Split(Protocol):
    """What a loader reads: examples with their conditions, by position."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal; the same wherever the same examples were decoded to the same bytes."""

    @property
    def spec(self) -> DataSpec:
        """What an example is, and what comes with it."""

    @property
    def values(self) -> Values:
        """The targets as they are stored."""

    @property
    def labels(self) -> IntArray | None:
        """The class of each, (N,); None where they have none."""

    def __len__(self) -> int: ...

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the examples at `index` (B,), as they are in the epochs `epoch` (B,); by default in the first."""


@dataclass(frozen=True)
class Dataset:
    """One split of a source."""

    name: str
    values: Values  # images (N, C, H, W), uint8 in 0..255 or float32 in [-1, 1], or points (N, D)
    labels: IntArray | None  # (N,)
    classes: tuple[str, ...]  # names of the labels; () where unlabelled
    fingerprint: str  # sha256 (hex) of values and labels: the same wherever pictures decode to the same bytes

    def __len__(self) -> int:
        return len(self.values)

    @property
    def modality(self) -> Modality:
        """Images of bytes or of real numbers where there are maps, points where there are vectors."""
        shape = self.values.shape[1:]
        if len(shape) == 1:
            return Points(shape[0])
        channels, height, width = shape
        return Images(channels, height, width, BYTES if self.values.dtype == np.uint8 else None)

    @property
    def spec(self) -> DataSpec:
        """The modality, and the label where there are any."""
        return DataSpec(self.modality, {} if self.labels is None else {"label": Classes(self.classes)})

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the examples at `index` (B,) as float32 (B, *shape): x / 127.5 - 1 for bytes.

        Byte 0 becomes exactly -1 and byte 255 exactly 1.
        """
        images = torch.from_numpy(as_floats(self.values[index]))
        condition = {} if self.labels is None else {"label": torch.from_numpy(self.labels[index])}
        return Batch(images, torch.from_numpy(np.array(index, dtype=np.int64)), condition)


@dataclass(frozen=True)
class Rejected:
    """A file that was found but is no picture of the dataset."""

    path: str  # printable (other bytes are escaped), relative to the source
    reason: str


@dataclass(frozen=True)
class Source:
    """What the user named, opened: two splits and an account of everything that was found.

    For a folder or a zip, `total` counts every file outside dot-folders and `__MACOSX` that is itself no
    dotfile, and `len(train) + len(held_out) + len(rejected) == total`.
    """

    name: str
    train: Split
    held_out: Split
    total: int
    rejected: tuple[Rejected, ...] = ()
    modes: Array | None = None  # (K, 2) centres of a toy, scaled like its points
    mode_spread: float | None = None  # standard deviation of each mode, in the same units
    notes: Mapping[str, str] = field(default_factory=dict)  # what was recognised and decided, in words


def chunks(values: Values) -> Iterator[Array]:
    """Yield all images in order, some thousand at a time."""
    for start in range(0, len(values), _CHUNK):
        yield values[np.arange(start, min(start + _CHUNK, len(values)))]


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
    """Return the sha256 (hex) of the type, the shape, the images and the labels."""
    digest = hashlib.sha256(f"{values.dtype.name} {tuple(values.shape)}".encode())
    for chunk in chunks(values):
        digest.update(np.ascontiguousarray(chunk).data)
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def make_dataset(name: str, values: Values, labels: IntArray | None, classes: tuple[str, ...]) -> Dataset:
    """Return a split with its fingerprint."""
    return Dataset(name, values, labels, classes, fingerprint(values, labels))


def conditions_of(split: Split, index: IntArray, names: Iterable[str]) -> Condition:
    """Return the conditions `names` of some examples, without the examples themselves."""
    wanted = set(names) & split.spec.conditions.keys()
    if split.labels is not None and wanted <= {"label"}:
        return {name: torch.from_numpy(split.labels[index]) for name in wanted}
    chunks = np.array_split(index, -(-len(index) // _CHUNK) or 1)
    parts = [split.batch(rows).condition_for(wanted) for rows in chunks]
    return {name: torch.cat([part[name] for part in parts]) for name in wanted}


def joined(one: Split, two: Split) -> Dataset:
    """Return the targets of two splits of a source as one."""
    labels = None
    if one.labels is not None and two.labels is not None:
        labels = np.concatenate([one.labels, two.labels])
    both = hashlib.sha256(f"{one.fingerprint} {two.fingerprint}".encode()).hexdigest()
    return Dataset(f"{one.name}+{two.name}", Joined(one.values, two.values), labels, one.spec.class_names, both)
