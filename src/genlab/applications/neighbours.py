"""The nearest neighbours of examples among many, which are read one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.applications.examples import as_drawn, thumbnails
from genlab.applications.spaces import Numbers, Space
from genlab.core.errors import DataError
from genlab.data.dataset import Rejected
from genlab.data.originals import Originals, stacked
from genlab.data.progress import bar
from genlab.metrics.neighbours import COPY_QUANTILE


@dataclass
class Nearest:
    """The k nearest neighbours of examples that were read until now, the nearest first."""

    queries: Numbers  # (Q, D)
    count: int  # k
    distances: npt.NDArray[np.float64] = field(init=False)  # (Q, k); infinite where there are fewer
    rows: npt.NDArray[np.int64] = field(init=False)  # (Q, k) among the names

    def __post_init__(self) -> None:
        self.distances = np.full((len(self.queries), self.count), np.inf)
        self.rows = np.full((len(self.queries), self.count), -1)

    def add(self, vectors: Numbers, first: int) -> None:
        """Consider vectors (B, D), whose rows begin at `first`.

        In float64 and from differences, so that the distance to a copy is exactly 0.
        """
        from scipy.spatial.distance import cdist

        found = np.concatenate(
            [self.distances, cdist(self.queries.astype(np.float64), vectors.astype(np.float64))], 1
        )
        rows = np.concatenate([self.rows, np.tile(np.arange(first, first + len(vectors)), (len(found), 1))], 1)
        order = found.argsort(1, kind="stable")[:, : self.count]
        self.distances = np.take_along_axis(found, order, 1)
        self.rows = np.take_along_axis(rows, order, 1)


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of examples in some spaces."""

    names: Sequence[str]  # of all that were read
    labels: Sequence[str | None]
    found: Sequence[Nearest]  # in each space
    kept: dict[int, Tensor]  # the neighbours in the first space by row, as `thumbnails` keeps them
    rejected: Sequence[Rejected]

    def shown(self, query: int) -> Tensor:
        """Return the neighbours of an example in the first space, to draw."""
        return as_drawn(torch.stack([self.kept[row] for row in self.found[0].rows[query].tolist() if row >= 0]))

    def same_class(self, space: int, labels: Sequence[str | None]) -> float | None:
        """Return the share of neighbours that have the class of their query; None if no query has a class."""
        pairs = [
            self.labels[row] == label
            for label, rows in zip(labels, self.found[space].rows[: len(labels)].tolist(), strict=True)
            for row in rows
            if label is not None and row >= 0
        ]
        return float(np.mean(pairs)) if pairs else None


def search(
    among: Originals,
    spaces: Sequence[Space],
    queries: Sequence[Numbers],
    count: int,
    shown: int,
    *,
    progress: bool,
) -> Neighbours:
    """Return the `count` nearest neighbours of queries in each space; of the first `shown` queries to be drawn.

    Args:
        among: the examples to search, of which a part is in memory at a time.
        spaces: in which to search.
        queries: vectors (Q, D) of the queries in each space.
        count: neighbours of each query.
        shown: queries whose neighbours are kept as pictures.
        progress: show a progress bar on a terminal.

    Raises:
        DataError: there is no example to search.
    """
    found = [Nearest(vectors, count) for vectors in queries]
    names, labels, rejected = list[str](), list[str | None](), list[Rejected]()
    kept: dict[int, Tensor] = {}
    with bar(progress) as seen:
        task = seen.add_task("comparing", total=among.count)
        for chunk in among.chunks(rejected):
            x, first = stacked(chunk), len(names)
            for nearest, space in zip(found, spaces, strict=True):
                nearest.add(space.of(x), first)
            small, wanted = thumbnails(x), set(found[0].rows[:shown].flatten().tolist())
            kept |= {first + at: small[at].clone() for at in range(len(x)) if first + at in wanted}
            kept = {row: each for row, each in kept.items() if row in wanted}
            names += [each.name for each in chunk]
            labels += [each.label for each in chunk]
            seen.update(task, completed=len(names) + len(rejected))
    if not names:
        raise DataError(f"there is nothing to compare with: {among.title} holds no example that can be read.")
    return Neighbours(names, labels, found, kept, rejected)


@dataclass(frozen=True)
class Copies:
    """How close samples are to their nearest training examples, compared with held-out examples."""

    median: float  # distance of samples
    usual: float  # median distance of held-out examples
    copies: int  # samples that are closer than the closest 1 % of held-out examples


def copies(of_samples: npt.NDArray[np.float64], of_held_out: npt.NDArray[np.float64]) -> Copies:
    """Return how the distances of samples to their nearest training examples compare with those of held-out ones.

    References:
        Meehan, Chaudhuri and Dasgupta, 2020. A Non-Parametric Test to Detect Data-Copying in Generative Models.
        arXiv:2004.05675.
    """
    closest = np.quantile(of_held_out, COPY_QUANTILE)
    return Copies(float(np.median(of_samples)), float(np.median(of_held_out)), int((of_samples < closest).sum()))
