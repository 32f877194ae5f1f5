"""One split of a source: images that behave like an array, their labels, and a fingerprint of both."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from genlab.core.batch import Batch, ImageShape

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
        """`(N, C, H, W)`."""

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


@dataclass(frozen=True)
class Dataset:
    """One split. `fingerprint` is the same wherever the same pictures were decoded to the same bytes."""

    name: str
    values: Values  # (N, C, H, W), uint8 in 0..255 or float32 in [-1, 1]
    labels: IntArray | None  # (N,)
    classes: tuple[str, ...]  # names of the labels; () where unlabelled
    fingerprint: str  # sha256 (hex) of values and labels

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> ImageShape:
        """Channels, height and width of one image."""
        _, channels, height, width = self.values.shape
        return ImageShape(channels, height, width)

    def batch(self, index: IntArray) -> Batch:
        """Return the images at `index` (B,) as float32 (B, C, H, W) in [-1, 1]: x / 127.5 - 1 for bytes.

        Byte 0 becomes exactly -1 and byte 255 exactly 1.
        """
        images = self.values[index]
        if images.dtype == np.uint8:
            # By NumPy, which computes in this thread: torch would start a team of threads of its own for the
            # loader's thread, in the way of those that train.
            images = images.astype(np.float32)
            images /= np.float32(127.5)
            images -= np.float32(1)
        labels = None if self.labels is None else torch.from_numpy(self.labels[index])
        return Batch(torch.from_numpy(images), torch.from_numpy(np.array(index, dtype=np.int64)), labels)


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
    train: Dataset
    held_out: Dataset
    total: int
    rejected: tuple[Rejected, ...] = ()
    modes: Array | None = None  # (K, 2) centres of a toy, scaled like its points
    mode_spread: float | None = None  # standard deviation of each mode, in the same units
    notes: Mapping[str, str] = field(default_factory=dict)  # what was recognised and decided, in words


def chunks(values: Values) -> Iterator[Array]:
    """Yield all images in order, some thousand at a time."""
    for start in range(0, len(values), _CHUNK):
        yield values[np.arange(start, min(start + _CHUNK, len(values)))]


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


def joined(one: Dataset, two: Dataset) -> Dataset:
    """Return the images of two splits of a source as one."""
    labels = None
    if one.labels is not None and two.labels is not None:
        labels = np.concatenate([one.labels, two.labels])
    both = hashlib.sha256(f"{one.fingerprint} {two.fingerprint}".encode()).hexdigest()
    return Dataset(f"{one.name}+{two.name}", Joined(one.values, two.values), labels, one.classes, both)
