"""Takes pairs apart: the targets, or the sources, as examples of their own; and reads them as a model needs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from genlab.core.batch import Batch
from genlab.core.condition import SOURCE, SOURCE_LABEL
from genlab.core.modality import DataSpec
from genlab.core.reading import Direction, Pairs, Reads
from genlab.data.dataset import Array, IntArray, Source, Split, Values
from genlab.data.pairing import refuse_pairs_of_styles
from genlab.data.wrappers import Paired, Unpaired, WithStyle, Wrapper, digest

T = TypeVar("T")


@dataclass(frozen=True)
class Targets(Wrapper):
    """Examples that have sources, without them."""

    @property
    def spec(self) -> DataSpec:
        """The spec without the source."""
        return replace(self.target.spec, conditions=_without_source(self.target.spec.conditions), aligned=True)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the split, marked."""
        return digest("targets", self.target.fingerprint)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the examples at `index` without their sources."""
        batch = self.target.batch(index, epoch)
        return replace(batch, condition=_without_source(batch.condition))


def _without_source(conditions: Mapping[str, T]) -> dict[str, T]:
    return {name: value for name, value in conditions.items() if name not in (SOURCE, SOURCE_LABEL)}


@dataclass(frozen=True)
class Sources(Wrapper):
    """The sources of examples, as examples of their own."""

    @property
    def spec(self) -> DataSpec:
        """The modality of the sources."""
        return DataSpec(self.target.spec.conditions[SOURCE])

    @property
    def labels(self) -> None:
        """Sources have none."""
        return

    @property
    def values(self) -> Values:
        """The sources as floats."""
        return _SourceValues(self.target)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the split, marked."""
        return digest("sources", self.target.fingerprint)

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the sources of the examples at `index`."""
        batch = self.target.batch(index, epoch)
        return Batch(batch.condition[SOURCE], batch.index, {})


@dataclass(frozen=True)
class _SourceValues:
    """The sources of a split, read when they are needed."""

    split: Split

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.split), *self.split.spec.conditions[SOURCE].shape)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: IntArray, /) -> Array:
        values: Array = self.split.batch(index).condition[SOURCE].numpy()
        return values


def as_read(opened: Source, reads: Reads, pairs: Pairs, direction: Direction, seed: int) -> Source:
    """Return data whose examples have sources of their own, as a model reads them; see `open_translation`.

    Raises:
        UsageError: pairs of contents and styles.
    """
    refuse_pairs_of_styles(reads, pairs)
    train, held_out = opened.train, opened.held_out
    domains = opened.domains or ("source", "target")
    if direction == "b-to-a":
        train, held_out = (Paired(Sources(split), Targets(split)) for split in (train, held_out))
        domains = domains[::-1]
    if pairs == "unaligned" or (pairs == "auto" and reads in ("sides", "styles")):
        train = Unpaired(Targets(train), Sources(train), seed)
    if pairs == "unaligned" or reads == "styles":
        held_out = Unpaired(Targets(held_out), Sources(held_out), seed)
    if reads == "styles":
        train, held_out = WithStyle(train), WithStyle(held_out)
    notes = {**opened.notes, "pairs": _pairs_in_words(train, held_out), "direction": " → ".join(domains)}
    return replace(opened, train=train, held_out=held_out, domains=domains, notes=notes)


def _pairs_in_words(train: Split, held_out: Split) -> str:
    """Return whether examples with sources of their own are read as pairs."""
    if not held_out.spec.aligned:
        return "unpaired"
    known = "as the data have them"
    return known if train.spec.aligned else f"unpaired in training; held out {known}, only to measure with"
