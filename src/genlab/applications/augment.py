"""Pictures that fill up the classes of a data set: drawn, judged and written.

    OUT/shirt/000017.png …    OUT.csv: a row for each candidate, also for those that were not kept

Candidate k of a class is picture k of `genlab sample RUN --label CLASS` with the same seed. Candidates are judged
a block at a time: copies of training pictures are refused, and those with the highest scores are kept. A killed
command judges the block again in which it was.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.augment_filter import Filter, Neighbourhood
from genlab.applications.capability import draws_classes, need, need_label, suiting
from genlab.applications.rows import Numbers, Rows
from genlab.applications.sample import sample_rows
from genlab.applications.sample_folder import class_folders
from genlab.core.batch import at_once
from genlab.core.condition import required_conditions
from genlab.core.contract import Samples
from genlab.core.device import device_of
from genlab.core.errors import GenlabError, UsageError
from genlab.core.files import put, storage
from genlab.core.pictures import png, to_bytes
from genlab.core.text import counted, printable
from genlab.core.warnings import LOG
from genlab.data.dataset import IntArray, Split
from genlab.data.progress import bar

COLUMNS = ("row", "score", "distance", "code")
KEPT, LOW, COPY = range(3)  # codes
VERDICTS = ("kept", "low score", "copy")  # by code
TRIES = 10  # a class is left short when so many times the candidates that it should need were not enough


@dataclass(frozen=True)
class Gap:
    """A class that has fewer training pictures than are wanted."""

    label: int
    name: str
    folder: str
    real: int  # training pictures that it has
    missing: int  # generated pictures that it is to get


@dataclass(frozen=True)
class Filled:
    """What became of the candidates of a class."""

    gap: Gap
    kept: int
    low: int  # with a low score
    copies: int
    threshold: float  # distance to the nearest training picture up to which a candidate is a copy

    @property
    def candidates(self) -> int:
        """The number of pictures that were drawn."""
        return self.kept + self.low + self.copies

    def values(self) -> dict[str, int | float]:
        """Return the counts as plain values for JSON."""
        return {
            "real": self.gap.real,
            "wanted": self.gap.real + self.gap.missing,
            "generated": self.kept,
            "low_score": self.low,
            "copies": self.copies,
            "copy_distance": self.threshold,
        }


def drawing_classes(model: nn.Module, train: Split) -> Samples:
    """Return a model as one that draws pictures of a given class.

    Raises:
        GenlabError: it does not, or the data are no pictures with labels.
    """
    samples = need(model, Samples, "genlab augment", draws_classes)
    if train.spec.target.spatial != 2:
        raise GenlabError(f"genlab augment makes pictures, and these data are {train.spec.target.noun}.")
    if needed := required_conditions(samples.conditions):
        raise GenlabError(
            f"genlab augment draws new pictures of a class, but this model needs a {needed[0]} for each picture. "
            f"Use a model that takes only a label. Try: {', '.join(suiting(model, draws_classes))}."
        )
    need_label(samples)
    return samples


def gaps_of(train: Split, per_class: int | None) -> list[Gap]:
    """Return the classes with fewer than `per_class` pictures, by default fewer than the largest class has.

    Raises:
        UsageError: no class has fewer.
    """
    assert train.labels is not None
    names = train.spec.class_names
    counts = np.bincount(train.labels, minlength=len(names)).tolist()
    wanted = max(counts) if per_class is None else per_class
    if unseen := [name for name, count in zip(names, counts, strict=True) if not count]:
        LOG.warning("left out, because no training picture shows them: %s", ", ".join(map(printable, unseen)))
    found = [
        Gap(label, name, folder, real, wanted - real)
        for label, (name, folder, real) in enumerate(zip(names, class_folders(names), counts, strict=True))
        if 0 < real < wanted
    ]
    if not found:
        raise UsageError(
            f"every class has {min(counts):,} training pictures or more, and --per-class {wanted} includes them. "
            f"Give a larger number, such as --per-class {2 * max(counts)}."
        )
    return found


@dataclass(frozen=True)
class Augmenter:
    """Draws, judges and writes the pictures of classes."""

    model: nn.Module  # that draws pictures of a given class
    chosen: Filter
    near: Callable[[int], Neighbourhood]  # of the training pictures of a label
    seed: int
    folder: Path
    rows: Rows
    shape: Sequence[int]  # of a picture

    def fill(self, gaps: Sequence[Gap]) -> list[Filled]:
        """Fill up classes; return what became of the candidates of each.

        Raises:
            StorageError: the disk refused.
        """
        found = []
        with bar(show=True) as shown:
            for gap in gaps:
                task = shown.add_task(f"generating {printable(gap.name)}", total=gap.missing)
                around = self.near(gap.label)
                codes = np.zeros(0, np.int64)
                for codes in self._blocks(gap, around):
                    shown.update(task, completed=int((codes == KEPT).sum()))
                kept, low, copies = np.bincount(codes, minlength=len(VERDICTS)).tolist()
                found.append(Filled(gap, kept, low, copies, around.threshold))
        for each in found:
            if short := each.gap.missing - each.kept:
                LOG.warning(
                    f"class {printable(each.gap.name)} lacks {counted(short, 'picture')}: {each.copies:,} of "
                    f"{each.candidates:,} candidates were copies of training pictures. If the model has memorised "
                    "them, train it for fewer steps or on more data."
                )
        return found

    def _blocks(self, gap: Gap, around: Neighbourhood) -> Iterator[IntArray]:
        """Judge block after block until the gap is filled; yield the codes of all candidates until then."""
        with storage(self.folder):
            (self.folder / gap.folder).mkdir(parents=True, exist_ok=True)
        own = np.array([label == printable(gap.name) for label in self.rows.labels], bool)
        recorded = self.rows.values[own, COLUMNS.index("code")].astype(np.int64)
        codes, keep = recorded[:0], self.chosen.keep
        while (missing := gap.missing - int((codes == KEPT).sum())) and len(codes) < TRIES * gap.missing / keep:
            start, size = len(codes), min(at_once(self.shape), math.ceil(missing / keep))
            if start + size <= len(recorded):
                codes = recorded[: start + size]
            else:
                block = range(start, start + size)
                numbers, pictures = self._judged(gap, around, block, min(missing, max(1, round(keep * size))))
                self._write(gap, numbers, pictures, after=max(0, len(recorded) - start))
                codes = np.concatenate([codes, numbers[:, -1].astype(np.int64)])
            yield codes

    def _judged(self, gap: Gap, around: Neighbourhood, block: range, most: int) -> tuple[Numbers, Tensor]:
        """Draw the candidates of a block; return their numbers and pictures. At most `most` of them are kept."""
        given = {"label": torch.full((len(block),), gap.label)}
        samples = need(self.model, Samples, "genlab augment")
        pictures = sample_rows(samples, device_of(self.model), self.seed, block, given)
        if not torch.isfinite(pictures).all():
            raise GenlabError(
                f"the model draws pictures of {printable(gap.name)} that are not finite. Train it again."
            )
        scores, distances = self.chosen.score(pictures, gap.label), around.distances(pictures)
        copies = distances <= around.threshold
        codes = torch.where(copies, COPY, LOW)
        best = torch.where(copies, -torch.inf, scores).argsort(descending=True, stable=True)[:most]
        codes[best[~copies[best]]] = KEPT
        columns = torch.tensor(list(block)), scores, distances, codes
        return torch.stack([column.float() for column in columns], 1).numpy(), pictures

    def _write(self, gap: Gap, numbers: Numbers, pictures: Tensor, after: int) -> None:
        """Write the pictures of a block that are kept, then its rows from `after` on."""
        names = [f"{gap.folder}/{int(row):06d}.png" for row in numbers[:, 0]]
        for name, code, picture in zip(names, numbers[:, -1], to_bytes(pictures), strict=True):
            if code == KEPT:
                put(self.folder / name, png(picture))
        self.rows.add(names[after:], [printable(gap.name)] * (len(names) - after), numbers[after:])
