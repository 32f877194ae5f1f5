"""The examples that a model is examined on: as many as fit into memory, with their vectors in some spaces."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.applications.spaces import Numbers, Space, reduced
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec
from genlab.core.text import counted
from genlab.data.dataset import Rejected
from genlab.data.originals import Originals, of_split, originals, squashed_of, stacked
from genlab.data.progress import bar
from genlab.data.read import unreadable
from genlab.runs.data import data_of
from genlab.training.run_folder import RunFolder

THUMBNAIL = 64  # longer side of the pictures that are kept
MOST_NUMBERS = 2**27  # that are kept of all spaces


class Thinned:
    """The names that are left out so that about `share` of all remain, by a hash: order and classes do not matter.

    Data that are sorted by class would otherwise lose classes.
    """

    def __init__(self, share: float) -> None:
        self.least = int(share * 2**64)

    def __contains__(self, name: object) -> bool:
        return int.from_bytes(blake2b(str(name).encode(errors="replace"), digest_size=8).digest()) >= self.least


@dataclass(frozen=True)
class Examples:
    """Examples with their vectors."""

    names: Sequence[str]
    labels: Sequence[str | None]
    vectors: Sequence[Numbers]  # (N, D) in each space
    kept: Tensor  # (N, C, H, W) bytes with a longer side of at most `THUMBNAIL`; other examples as they are
    rejected: Sequence[Rejected]
    count: int  # of all that there are
    squashed: int = 0  # of these, to the shape of the model

    @property
    def note(self) -> str:
        """How many of how many there are."""
        if len(self.names) + len(self.rejected) == self.count:
            return counted(len(self.names), "example")
        return f"{len(self.names):,} of {self.count:,} examples, chosen by a hash of their names (--number)"

    def shown(self, rows: npt.ArrayLike) -> Tensor:
        """Return some examples to draw, pictures in [-1, 1]."""
        return as_drawn(self.kept[torch.from_numpy(np.asarray(rows, np.int64))])


def thumbnails(x: Tensor) -> Tensor:
    """Return pictures (B, C, H, W) as small ones of bytes; other examples as they are."""
    if x.ndim != 4:
        return x
    return ((reduced(x, THUMBNAIL).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def as_drawn(kept: Tensor) -> Tensor:
    """Return kept examples as floats, pictures in [-1, 1]."""
    return kept if kept.dtype != torch.uint8 else kept.float() / 127.5 - 1


def gather(given: Originals, spaces: Sequence[Space], number: int, *, progress: bool) -> Examples:
    """Return about `number` examples, or fewer if their vectors have too many numbers, chosen by their names.

    Raises:
        UsageError: fewer than one is asked for.
        DataError: none could be read.
    """
    if number < 1:
        raise UsageError(f"--number must be at least 1, not {number}")
    number = min(number, MOST_NUMBERS // sum(space.size for space in spaces))
    names, labels, kept, rejected = list[str](), list[str | None](), list[Tensor](), list[Rejected]()
    vectors: list[list[Numbers]] = [[] for _ in spaces]
    squashed = 0
    left_out = Thinned(number / given.count) if given.count > number else ()
    with bar(progress) as shown:
        task = shown.add_task("reading", total=min(number, given.count))
        for chunk in given.chunks(rejected, done=left_out):
            x = stacked(chunk)
            names += [each.name for each in chunk]
            labels += [each.label for each in chunk]
            kept.append(thumbnails(x))
            squashed += squashed_of([each.size for each in chunk], given.modality.shape)
            for found, space in zip(vectors, spaces, strict=True):
                found.append(space.of(x))
            shown.update(task, completed=len(names))
    if not names:
        raise unreadable(Path(given.title), rejected)
    whole = [np.concatenate(found) for found in vectors]
    return Examples(names, labels, whole, torch.cat(kept), rejected, given.count, squashed)


def examples_of(
    folder: RunFolder, spec: DataSpec, path: object, data: str | None = None
) -> AbstractContextManager[Originals]:
    """Yield the examples at `path`, or else the held-out part of a run's data."""
    if path is not None:
        return originals(path, spec.target)
    return nullcontext(of_split("held-out", data_of(folder, spec, data).held_out))
