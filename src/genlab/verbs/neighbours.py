"""`genlab neighbours`: what is most similar to a picture, or to samples of a model."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted, printable
from genlab.recipes.settings import CheckpointName, DeviceName, SpaceName
from genlab.verbs.options import RUNS, ExtractorName, File, ImagesName, RunName, SourceName
from genlab.verbs.using import Opened, open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.neighbours import Copies, Neighbours
    from genlab.applications.spaces import Space
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected

MOST = 1000  # pictures whose neighbours are searched
SHOWN = 16  # of them in the picture
HELD_OUT = 300  # examples with which samples are compared
MOST_LINES = 20


@dataclass(frozen=True, eq=False)
class Neighboured:
    """Pictures with their nearest neighbours, and where they were written."""

    names: Sequence[str]  # of the pictures
    found: "Neighbours"  # for each picture; of samples also for the held-out examples that come after them
    spaces: Sequence[str]  # the space of the search, and pixels beside it
    same_class: Sequence[float | None]  # share of neighbours with the class of the picture, in each space
    copies: "Sequence[Copies]"  # of samples, in each space
    examples: "Tensor"  # the first pictures, to draw
    notes: Sequence[str]
    rejected: Sequence["Rejected"]
    path: Path  # the .png
    table: Path  # the .csv
    target: "Modality"

    @property
    def picture(self) -> "Picture":
        """A row for each picture: itself, and its neighbours, the nearest first."""
        from genlab.core.pictures import beside, stacked

        return stacked(
            [
                beside(self.target.draw(x[None], 1), self.target.draw(shown, len(shown)))
                for x, shown in zip(self.examples, map(self.found.shown, range(len(self.examples))), strict=True)
            ]
        )

    def nearest(self, query: int) -> list[tuple[str, float]]:
        """Return the names of the neighbours of a picture and their distances."""
        first = self.found.found[0]
        pairs = zip(first.rows[query].tolist(), first.distances[query].tolist(), strict=True)
        return [(self.found.names[row], distance) for row, distance in pairs if row >= 0]

    def values(self) -> dict[str, Any]:
        """Return the neighbours as plain values for JSON."""
        beside = zip(self.spaces, self.same_class, strict=True)
        return {
            "space": self.spaces[0],
            "neighbours": {name: dict(self.nearest(at)) for at, name in enumerate(self.names)},
            "same_class": {space: share for space, share in beside if share is not None},
            "copies": {space: asdict(each) for space, each in zip(self.spaces, self.copies, strict=False)},
            "notes": list(self.notes),
            "rejected": {item.path: item.reason for item in self.rejected},
            "path": str(self.path),
            "table": str(self.table),
        }

    def __repr__(self) -> str:
        return f"<Neighboured {len(self.names)} {self.path}>"

    def __str__(self) -> str:
        lines = [f"rejected  {item.path}: {item.reason}" for item in self.rejected]
        for at, name in enumerate(self.names[:MOST_LINES]):
            pairs = ", ".join(f"{printable(other)} ({distance:.3g})" for other, distance in self.nearest(at))
            lines.append(f"{printable(name)}: {pairs}")
        if len(self.names) > MOST_LINES:
            lines.append(f"… and {len(self.names) - MOST_LINES:,} more; {self.table.name} has all")
        for space, share in zip(self.spaces, self.same_class, strict=True):
            lines += [] if share is None else [f"{share:.3f} of the neighbours have the same class, by {space}"]
        for space, each in zip(self.spaces, self.copies, strict=False):
            lines.append(
                f"distance to the nearest, by {space}: {each.median:.3g} for samples and {each.usual:.3g} for "
                f"held-out ones (medians); {counted(each.copies, 'sample')} nearer than the nearest 1 % of them"
            )
        return "\n".join([*lines, *self.notes, str(self.path), str(self.table)])

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.picture)


@verb
def neighbours(
    run: RunName,
    path: ImagesName = None,
    *,
    samples: int | None = None,
    space: SpaceName | None = None,
    among: str = "train",
    neighbours: int = 8,
    extractor: ExtractorName = "efficientnet-lite0",
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Neighboured:
    """Find the nearest neighbours of pictures, or of samples of the model: a PNG with a row for each, and a CSV.

    The neighbours of samples among the training examples show copies: samples that are closer to them than nearly
    all held-out examples are.

    Args:
        path: A picture, a folder or a zip of pictures, or other data, whose held-out part is taken.
        samples: Instead of PATH: the number of samples to draw from the model.
        among: Where to search: train, which are the training examples of the run, or a folder or other data.
        neighbours: Number of neighbours of each.
        out: The .png to write; the .csv is written next to it. By default in the run folder.
        seed: Seed of the samples.

    Returns:
        The neighbours with their distances, and the paths that were written.

    Raises:
        UsageError: no such run or path, or neither or both of PATH and --samples.
        GenlabError: the model has no such space, or does not sample.
    """
    place = png_file(out)
    if (path is None) == (samples is None):
        raise UsageError("give either pictures whose neighbours to find, or --samples N; not both, not none.")
    for flag, value in (("--samples", samples), ("--neighbours", neighbours)):
        if value is not None and not 1 <= value <= MOST:
            raise UsageError(f"{flag} must be from 1 to {MOST}, not {value}")

    from genlab.applications.neighbours import search
    from genlab.applications.spaces import find_space, pixels_of

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    spaces = [find_space(opened.model, target, space, extractor, "genlab neighbours")]
    spaces += [] if space == "pixels" else [pixels_of(target)]
    asked = _of_path(path, target, spaces) if samples is None else _of_samples(opened, samples, seed, spaces, data)
    with _among(opened, among, data) as given:
        found = search(given, spaces, asked.vectors, neighbours, min(SHOWN, len(asked.names)), progress=True)
    if not found.names:
        raise UsageError(f"there is nothing to compare with among {among}.")
    notes = [*asked.notes, f"among {counted(len(found.names), 'example')} of {among}"]
    place = place or opened.place("neighbours", asked.title, space, k=neighbours, seed=seed if samples else None)
    result = Neighboured(
        names=asked.names,
        found=found,
        spaces=[each.title for each in spaces],
        same_class=[found.same_class(at, asked.labels) for at in range(len(spaces))],
        copies=_copies(found, len(asked.names)),
        examples=asked.examples[:SHOWN],
        notes=notes,
        rejected=[*asked.rejected, *found.rejected],
        path=place,
        table=place.with_suffix(".csv"),
        target=target,
    )
    write_png(place, result.picture)
    _write_table(result, asked.labels)
    return result


@dataclass(frozen=True)
class _Asked:
    """The pictures whose neighbours are searched; after the vectors of samples come those of held-out examples."""

    title: str
    names: Sequence[str]
    labels: Sequence[str | None]
    vectors: Sequence[Any]  # (Q, D) in each space
    examples: "Tensor"  # to draw
    notes: Sequence[str] = ()
    rejected: Sequence["Rejected"] = ()


def _of_path(path: Any, target: "Modality", spaces: "Sequence[Space]") -> _Asked:  # noqa: ANN401
    from genlab.applications.examples import gather
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    with originals(path, target) as given:
        found = gather(given, spaces, MOST, progress=False)
        if not found.names:
            raise unreadable(path, found.rejected)
        shown = found.shown(range(min(SHOWN, len(found.names))))
        notes = [] if len(found.names) <= SHOWN else [f"the picture shows the first {SHOWN} of {found.note}"]
        return _Asked(given.title, found.names, found.labels, found.vectors, shown, notes, found.rejected)


def _of_samples(
    opened: Opened,
    count: int,
    seed: int,
    spaces: "Sequence[Space]",
    data: Any,  # noqa: ANN401
) -> _Asked:
    import numpy as np
    import torch

    from genlab.applications.examples import as_drawn, data_of, gather, thumbnails
    from genlab.applications.sample import sample
    from genlab.core.batch import at_once
    from genlab.core.condition import in_turn
    from genlab.data.originals import of_split
    from genlab.runs.data import sampling_turns

    turns = in_turn(sampling_turns(opened.folder, opened.step, opened.model, (), data), range(count))
    x = sample(opened.model, count, seed, turns, chunk=at_once(opened.spec.target.shape), progress=True)
    held_out = of_split("held-out", data_of(opened.folder, opened.spec, data).held_out)
    usual = gather(held_out, spaces, HELD_OUT, progress=False)
    parts = torch.split(x, at_once(opened.spec.target.shape))
    vectors = [
        np.concatenate([*map(space.of, parts), beside])
        for space, beside in zip(spaces, usual.vectors, strict=True)
    ]
    classes = opened.spec.class_names
    labels = [classes[label] for label in turns["label"].tolist()] if "label" in turns else [None] * count
    notes = [] if count <= SHOWN else [f"the picture shows the first {SHOWN} of {count} samples"]
    shown = as_drawn(thumbnails(x[:SHOWN]))
    return _Asked(f"samples-{count}", [f"sample {at}" for at in range(count)], labels, vectors, shown, notes)


def _among(opened: Opened, among: str, data: Any) -> Any:  # noqa: ANN401
    from contextlib import nullcontext

    from genlab.applications.examples import data_of
    from genlab.data.originals import of_split, originals

    if among != "train":
        return originals(among, opened.spec.target)
    return nullcontext(of_split("train", data_of(opened.folder, opened.spec, data).train))


def _copies(found: "Neighbours", samples: int) -> "list[Copies]":
    """Return how close samples are, in each space; nothing of pictures, which have no held-out ones beside."""
    from genlab.applications.neighbours import copies

    each = [nearest.distances[:, 0] for nearest in found.found]
    return [copies(nearest[:samples], nearest[samples:]) for nearest in each if len(nearest) > samples]


def _write_table(result: Neighboured, labels: Sequence[str | None]) -> None:
    import csv
    import io

    from genlab.core.files import replace

    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["file", "class", "neighbour", "rank", "distance"])
    for at, (name, label) in enumerate(zip(result.names, labels, strict=True)):
        for rank, (other, distance) in enumerate(result.nearest(at)):
            lines.writerow([name, label or "", other, rank + 1, f"{distance:.7g}"])
    replace(result.table, text.getvalue().encode())
