"""Data made of other data: pairs, two unpaired sets, examples that are degraded on purpose, smaller images.

Each wraps other splits and is a split itself, so that a loader shuffles, shards, mirrors and resumes it as usual.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.condition import SOURCE, SOURCE_LABEL, STYLE
from genlab.core.errors import DataError
from genlab.core.modality import BYTES, DataSpec, Images, Modality
from genlab.core.random import Draws, generator
from genlab.data.dataset import Array, IntArray, Split, Values, as_floats
from genlab.data.degradations import Chain
from genlab.data.loader import Order

T = TypeVar("T")


@dataclass(frozen=True)
class Wrapper:
    """What all wrappers share: the target is that of another split."""

    target: Split

    @property
    def name(self) -> str:
        """The name of the target."""
        return self.target.name

    @property
    def values(self) -> Values:
        """The targets as they are stored."""
        return self.target.values

    @property
    def labels(self) -> IntArray | None:
        """The class of each target."""
        return self.target.labels

    @property
    def named(self) -> Callable[[], Sequence[str]] | None:
        """The names of the files of the targets, if they are known."""
        return getattr(self.target, "named", None)

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class _WithSource(Wrapper):
    """A wrapper that adds the condition "source"."""

    def _spec(self, source: Split, *, aligned: bool = True) -> DataSpec:
        spec = self.target.spec
        if SOURCE in spec.conditions:
            raise DataError(f"{self.target.name} already has a {SOURCE}; each target takes only one.")
        return DataSpec(spec.target, {**spec.conditions, SOURCE: source.spec.target}, aligned)

    def _given(self, batch: Batch, source: Tensor) -> Batch:
        return Batch(batch.x, batch.index, {**batch.condition, SOURCE: source})


@dataclass(frozen=True)
class Paired(_WithSource):
    """Targets, each with the source at the same position, such as a photo and its sketch.

    Raises:
        DataError: the two splits are not equally long.
    """

    source: Split

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise DataError(
                f"{len(self.target)} targets of {self.target.name} cannot be paired with {len(self.source)} "
                f"sources of {self.source.name}. Give as many of each, or use them unpaired."
            )

    @property
    def spec(self) -> DataSpec:
        """The spec of the targets, with the source as a condition."""
        return self._spec(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of both splits."""
        return digest("paired", self.target.fingerprint, self.source.fingerprint)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the targets at `index` with their sources."""
        return self._given(self.target.batch(index, epoch), self.source.batch(index, epoch).x)


@dataclass(frozen=True)
class Unpaired(_WithSource):
    """Targets, each with a random source from a second split, and the label of that source if it has one.

    Sources are read in seeded permutations, one after the other, so that all are used equally often. The source of
    a target depends only on the seed, the epoch and the position. The second split may be the first: then examples
    of all classes are sources and targets.
    """

    source: Split
    seed: int

    @property
    def spec(self) -> DataSpec:
        """The spec of the targets, with the source and its label as conditions."""
        spec = self._spec(self.source, aligned=False)
        return replace(spec, conditions={**spec.conditions, **_label_of_source(self.source.spec.conditions)})

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of both splits and of the seed, which decides what is read together."""
        return digest("unpaired", self.target.fingerprint, self.source.fingerprint, str(self.seed))

    @cached_property
    def _order(self) -> Order:
        return Order(len(self.source), self.seed, "unpaired")

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the targets at `index`, each with the next source of the stream."""
        epoch = np.zeros(len(index), dtype=np.int64) if epoch is None else epoch
        passes, places = np.divmod(epoch * len(self.target) + index, len(self.source))
        rows = np.empty(len(index), dtype=np.int64)
        for number in np.unique(passes):
            rows[passes == number] = self._order.epoch(int(number))[places[passes == number]]
        sources = self.source.batch(rows, epoch)
        batch = self._given(self.target.batch(index, epoch), sources.x)
        return replace(batch, condition={**batch.condition, **_label_of_source(sources.condition)})


def _label_of_source(conditions: Mapping[str, T]) -> dict[str, T]:
    """Return the label in the conditions of a source under the name that it has beside the target's label."""
    return {SOURCE_LABEL: conditions["label"]} if "label" in conditions else {}


@dataclass(frozen=True)
class WithStyle(Wrapper):
    """Targets that are their own condition "style": pictures whose style another picture takes."""

    @property
    def spec(self) -> DataSpec:
        """The spec of the targets, with the style as a condition."""
        spec = self.target.spec
        return replace(spec, conditions={**spec.conditions, STYLE: spec.target})

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the targets."""
        return digest("style", self.target.fingerprint)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the targets at `index`, each also as its style."""
        batch = self.target.batch(index, epoch)
        return replace(batch, condition={**batch.condition, STYLE: batch.x.clone()})


@dataclass(frozen=True)
class Degraded(_WithSource):
    """Targets, each with a degraded copy of itself as its source: noise to remove, pixels to restore.

    Args:
        target: the clean examples.
        degrade: (example (1, *shape), draws) -> the degraded example, of the same shape; or a `Chain`, whose
            sources may be smaller, and that may add a mask. The draws depend only on the seed, the epoch and the
            position.
        how: the name of the degradation in the fingerprint.
        seed: of the draws.
    """

    degrade: Callable[[Tensor, Draws], Tensor] | Chain
    how: str
    seed: int

    @cached_property
    def spec(self) -> DataSpec:
        """The spec of the targets, with what the degradation gives as conditions."""
        spec = self._spec(self.target)
        if not isinstance(self.degrade, Chain):
            return spec
        return replace(spec, conditions={**spec.conditions, **self.degrade.conditions(spec.target)})

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the split, of the degradation's name and of the seed."""
        return digest("degraded", self.target.fingerprint, self.how, str(self.seed))

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the targets at `index` with their degraded copies."""
        batch = self.target.batch(index, epoch)
        epochs = np.zeros(len(index), dtype=np.int64) if epoch is None else epoch
        made = [
            self.degrade(x[None].clone(), Draws(generator(self.seed, "degradation", int(e), int(i)), 1))
            for x, e, i in zip(batch.x, epochs, index, strict=True)
        ]
        given = [each if isinstance(each, Mapping) else {SOURCE: each} for each in made]
        if not given:
            empty = {name: batch.x.new_zeros(0, *self.spec.conditions[name].shape) for name in self._adds}
            return replace(batch, condition={**batch.condition, **empty})
        every = {name: torch.cat([each[name] for each in given]) for name in given[0]}
        return replace(batch, condition={**batch.condition, **every})

    @property
    def _adds(self) -> set[str]:
        """The names of the conditions that the degradation gives."""
        return self.spec.conditions.keys() - self.target.spec.conditions.keys()


@dataclass(frozen=True)
class Resized(Wrapper):
    """Images at a lower resolution: each pixel is the mean of k × k pixels, rounded to a byte if those are bytes.

    Images among the conditions are reduced by the same k.

    Args:
        target: the images at their full resolution.
        modality: what they become.

    Raises:
        DataError: k is not a whole number, or the data are not images.
    """

    modality: Modality

    def __post_init__(self) -> None:
        if self.spec.target != self.modality:
            raise DataError(
                f"{self.name} cannot be resized from {self.target.spec.target} to {self.modality}: only images "
                "can be, to sides that divide theirs."
            )

    @cached_property
    def factor(self) -> int:
        """k, by which all sides are divided."""
        before, after = self.target.spec.target, self.modality
        smaller = isinstance(before, Images) and isinstance(after, Images)
        return max(before.shape[-1] // after.shape[-1], 1) if smaller else 1

    @cached_property
    def spec(self) -> DataSpec:
        """The target's, with the sides of all images divided."""
        whole = self.target.spec
        given = {name: self._reduced(modality) for name, modality in whole.conditions.items()}
        return replace(whole, target=self._reduced(whole.target), conditions=given)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the split and of the factor."""
        return digest("resized", self.target.fingerprint, str(self.factor))

    @property
    def values(self) -> Values:
        """The smaller images, in the type that the full ones are stored in."""
        return _BlockMeans(self.target.values, self.factor)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the smaller images and their conditions."""
        batch, spec = self.target.batch(index, epoch), self.target.spec
        given = {
            name: self._means(value) if isinstance(spec.conditions[name], Images) else value
            for name, value in batch.condition.items()
        }
        return Batch(self._means(batch.x, spec.target.levels), batch.index, given)

    def _reduced(self, modality: Modality) -> Modality:
        if not isinstance(modality, Images):
            return modality
        if modality.height % self.factor or modality.width % self.factor:
            raise DataError(f"{self.name} has {modality}, whose sides cannot be divided by {self.factor}.")
        return replace(modality, height=modality.height // self.factor, width=modality.width // self.factor)

    def _means(self, x: Tensor, levels: int | None = None) -> Tensor:
        values = x.numpy()
        if levels == BYTES:
            values = np.rint((values + 1) * 127.5).astype(np.uint8)
        return torch.from_numpy(as_floats(block_means(values, self.factor)))


@dataclass(frozen=True)
class _BlockMeans:
    """Images that are reduced when they are read."""

    images: Values  # (N, C, H, W)
    factor: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.images.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        *first, height, width = self.images.shape
        return (*first, height // self.factor, width // self.factor)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: IntArray, /) -> Array:
        return block_means(self.images[index], self.factor)


def block_means(images: Array, factor: int) -> Array:
    """Return the mean of each block of factor × factor pixels of images (B, C, H, W); bytes are rounded."""
    batch, channels, height, width = images.shape
    blocks = images.reshape(batch, channels, height // factor, factor, width // factor, factor)
    means: Array = blocks.mean(axis=(3, 5), dtype=np.float32)
    return np.rint(means).astype(np.uint8) if images.dtype == np.uint8 else means


def digest(*parts: str) -> str:
    """Return a fingerprint of other fingerprints."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
