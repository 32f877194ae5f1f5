"""Data with conditions: pairs, two unpaired sets, and examples that are degraded on purpose.

Each reads other splits and is one itself, so that a loader orders, shards, mirrors and resumes it as any other.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.errors import DataError
from genlab.core.modality import DataSpec
from genlab.core.random import Draws, generator
from genlab.data.dataset import IntArray, Split, Values
from genlab.data.loader import Order

SOURCE = "source"


@dataclass(frozen=True)
class _Wrapper:
    """What all wrappers have: the target is that of another split, and the condition "source" is new."""

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

    def __len__(self) -> int:
        return len(self.target)

    def _spec(self, source: Split) -> DataSpec:
        spec = self.target.spec
        if SOURCE in spec.conditions:
            raise DataError(f"{self.target.name} has a {SOURCE} already: each target takes one.")
        return DataSpec(spec.target, {**spec.conditions, SOURCE: source.spec.target})

    def _given(self, batch: Batch, source: Tensor) -> Batch:
        return Batch(batch.x, batch.index, {**batch.condition, SOURCE: source})


@dataclass(frozen=True)
class Paired(_Wrapper):
    """Targets, each with the source of the same position: a photo and its sketch.

    Raises:
        DataError: the two splits are not equally long.
    """

    source: Split

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise DataError(
                f"{len(self.target)} targets of {self.target.name} cannot be paired with {len(self.source)} "
                f"sources of {self.source.name}. Give each its pair, or take them as unpaired."
            )

    @property
    def spec(self) -> DataSpec:
        """The target's, with the source as a condition."""
        return self._spec(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """Of both splits."""
        return _digest("paired", self.target.fingerprint, self.source.fingerprint)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return targets and their sources."""
        return self._given(self.target.batch(index, epoch), self.source.batch(index, epoch).x)


@dataclass(frozen=True)
class Unpaired(_Wrapper):
    """Targets, each with some source: the second split is read in a seeded order of its own.

    The stream of sources is one permutation after the other, so that all are used equally often, however many
    there are. The source of a target depends on the seed, the epoch and the position alone.
    """

    source: Split
    seed: int

    @property
    def spec(self) -> DataSpec:
        """The target's, with the source as a condition."""
        return self._spec(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """Of both splits."""
        return _digest("unpaired", self.target.fingerprint, self.source.fingerprint)

    @cached_property
    def _order(self) -> Order:
        return Order(len(self.source), self.seed, "unpaired")

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return targets, and the sources whose turn it is."""
        epoch = np.zeros(len(index), dtype=np.int64) if epoch is None else epoch
        rounds, places = np.divmod(epoch * len(self.target) + index, len(self.source))
        rows = np.empty(len(index), dtype=np.int64)
        for number in np.unique(rounds):
            rows[rounds == number] = self._order.epoch(int(number))[places[rounds == number]]
        return self._given(self.target.batch(index, epoch), self.source.batch(rows, epoch).x)


@dataclass(frozen=True)
class Degraded(_Wrapper):
    """Targets, each with a degraded copy of itself as its source: noise to remove, pixels to restore.

    Args:
        target: the clean examples.
        degrade: (examples (1, *shape), draws) -> the degraded ones. Its stream of draws depends on the seed, the
            epoch and the position alone.
        how: names the degradation in the fingerprint.
        seed: of the draws.
    """

    degrade: Callable[[Tensor, Draws], Tensor]
    how: str
    seed: int

    @property
    def spec(self) -> DataSpec:
        """The target's, with the degraded example as a condition of the same modality."""
        return self._spec(self.target)

    @cached_property
    def fingerprint(self) -> str:
        """Of the split and of the degradation's name."""
        return _digest("degraded", self.target.fingerprint, self.how)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return targets and their degraded copies."""
        batch = self.target.batch(index, epoch)
        epochs = np.zeros(len(index), dtype=np.int64) if epoch is None else epoch
        sources = [
            self.degrade(x[None].clone(), Draws(generator(self.seed, "degradation", int(e), int(i)), 1))
            for x, e, i in zip(batch.x, epochs, index, strict=True)
        ]
        return self._given(batch, torch.cat(sources) if sources else batch.x)


def _digest(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
