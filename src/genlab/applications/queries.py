"""The examples whose neighbours are searched: pictures of the user, or samples with held-out examples beside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.examples import as_drawn, gather, thumbnails
from genlab.applications.sample import sample
from genlab.applications.spaces import Numbers, Space
from genlab.core.batch import at_once
from genlab.core.condition import Condition
from genlab.core.modality import DataSpec
from genlab.data.dataset import Rejected, Split
from genlab.data.originals import of_split, originals

MOST = 1000  # queries
SHOWN = 16  # of them in a picture
HELD_OUT = 300  # examples with which samples are compared


@dataclass(frozen=True)
class Queries:
    """Examples whose neighbours are searched."""

    title: str  # in the names of files
    names: Sequence[str]
    labels: Sequence[str | None]
    vectors: Sequence[Numbers]  # (Q, D) in each space; after those of samples come those of held-out examples
    examples: Tensor  # the first `SHOWN`, to draw
    notes: Sequence[str] = ()
    rejected: Sequence[Rejected] = ()
    squashed: int = 0  # to the shape of the model


def queries_at(path: object, spec: DataSpec, spaces: Sequence[Space]) -> Queries:
    """Return the examples at a path, about `MOST` if there are more.

    Raises:
        UsageError: there is nothing at the path.
        DataError: there is no picture.
    """
    with originals(path, spec.target) as given:
        found = gather(given, spaces, MOST, progress=False)
        shown = found.shown(range(min(SHOWN, len(found.names))))
        notes = [] if len(found.names) <= SHOWN else [f"the picture shows the first {SHOWN} of {found.note}"]
        return Queries(
            given.title, found.names, found.labels, found.vectors, shown, notes, found.rejected, found.squashed
        )


def samples_of(
    model: nn.Module,
    spec: DataSpec,
    condition: Condition,
    count: int,
    seed: int,
    held_out: Split,
    spaces: Sequence[Space],
) -> Queries:
    """Return samples, and behind their vectors those of some held-out examples.

    Raises:
        GenlabError: the model does not sample.
    """
    each = at_once(spec.target.shape)
    x = sample(model, count, seed, condition, chunk=each, progress=True)
    usual = gather(of_split("held-out", held_out), spaces, HELD_OUT, progress=False)
    vectors = [
        np.concatenate([*map(space.of, torch.split(x, each)), beside])
        for space, beside in zip(spaces, usual.vectors, strict=True)
    ]
    labels = (
        [spec.class_names[at] for at in condition["label"].tolist()] if "label" in condition else [None] * count
    )
    notes = [] if count <= SHOWN else [f"the picture shows the first {SHOWN} of {count} samples"]
    titles = [f"sample {at}" for at in range(count)]
    return Queries(f"samples-{count}", titles, labels, vectors, as_drawn(thumbnails(x[:SHOWN])), notes)
