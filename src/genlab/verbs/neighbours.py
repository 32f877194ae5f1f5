"""`genlab neighbours`: what is most similar to a picture, or to samples of a model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted, printable
from genlab.recipes.settings import CheckpointName, DeviceName, SpaceName
from genlab.verbs.options import RUNS, ExtractorName, File, ImagesName, RunName, SourceName
from genlab.verbs.result import Pictured, reasons, rejections, squashed
from genlab.verbs.using import Opened, open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.neighbours import Copies, Neighbours
    from genlab.applications.queries import Queries
    from genlab.applications.spaces import Space
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected

MOST_LINES = 20  # of pictures with their neighbours; the table has all
MOST = 1000  # samples, and neighbours


@dataclass(frozen=True, eq=False)
class Neighboured(Pictured):
    """Pictures with their nearest neighbours, and where they were written."""

    asked: "Queries"
    found: "Neighbours"
    spaces: Sequence[str]  # the space of the search, and pixels beside it
    notes: Sequence[str]
    path: Path  # the .png
    target: "Modality"

    @property
    def names(self) -> Sequence[str]:
        """The names of the pictures."""
        return self.asked.names

    @property
    def table_path(self) -> Path:
        """The .csv."""
        return self.path.with_suffix(".csv")

    @property
    def rejected(self) -> Sequence["Rejected"]:
        """Files that are no pictures."""
        return [*self.asked.rejected, *self.found.rejected]

    @property
    def same_class(self) -> Mapping[str, float]:
        """The share of neighbours that have the class of the picture, by space; empty without classes."""
        shares = ((name, self.found.same_class(at, self.asked.labels)) for at, name in enumerate(self.spaces))
        return {name: share for name, share in shares if share is not None}

    @property
    def copies(self) -> "Mapping[str, Copies]":
        """How close samples are to training pictures, compared with held-out ones, by space; empty of pictures."""
        from genlab.applications.neighbours import copies

        count = len(self.names)
        each = [
            (name, nearest.distances[:, 0]) for name, nearest in zip(self.spaces, self.found.found, strict=True)
        ]
        return {name: copies(found[:count], found[count:]) for name, found in each if len(found) > count}

    @property
    def picture(self) -> "Picture":
        """A row for each picture: itself, and its neighbours, the nearest first."""
        from genlab.core.pictures import beside, stacked

        images = self.target.spatial == 2
        return stacked(
            [
                beside(self.target.draw(x[None], 1 if images else None), self.target.draw(shown, columns))
                for x, shown in zip(self.asked.examples, self._shown(), strict=True)
                for columns in [len(shown) if images else None]
            ]
        )

    def _shown(self) -> "list[Tensor]":
        return [self.found.shown(query) for query in range(len(self.asked.examples))]

    def nearest(self, query: int) -> list[tuple[str, float]]:
        """Return the names of the neighbours of a picture and their distances."""
        first = self.found.found[0]
        pairs = zip(first.rows[query].tolist(), first.distances[query].tolist(), strict=True)
        return [(self.found.names[row], distance) for row, distance in pairs if row >= 0]

    def values(self) -> dict[str, Any]:
        """Return the neighbours as plain values for JSON."""
        return {
            "space": self.spaces[0],
            "neighbours": {name: dict(self.nearest(at)) for at, name in enumerate(self.names)},
            "same_class": dict(self.same_class),
            "copies": {space: asdict(each) for space, each in self.copies.items()},
            "notes": list(self.notes),
            "rejected": reasons(self.rejected),
            "squashed": self.asked.squashed,
            "path": str(self.path),
            "table": str(self.table_path),
        }

    def __repr__(self) -> str:
        return f"<Neighboured {len(self.names)} {self.path}>"

    def __str__(self) -> str:
        lines = [*rejections(self.rejected), *squashed(self.asked.squashed, self.target.shape)]
        for at, name in enumerate(self.names[:MOST_LINES]):
            pairs = ", ".join(f"{printable(other)} ({distance:.3g})" for other, distance in self.nearest(at))
            lines.append(f"{printable(name)}: {pairs}")
        if len(self.names) > MOST_LINES:
            lines.append(f"… and {len(self.names) - MOST_LINES:,} more; {self.table_path.name} has all")
        for space, share in self.same_class.items():
            lines.append(f"{share:.3f} of the neighbours have the same class, by {space}")
        for space, each in self.copies.items():
            lines.append(
                f"distance to the nearest, by {space}: {each.median:.3g} for samples and {each.usual:.3g} for "
                f"held-out ones (medians); {counted(each.copies, 'sample')} nearer than the nearest 1 % of them"
            )
        return "\n".join([*lines, *self.notes, str(self.path), str(self.table_path)])


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
        samples: Instead of PATH: the number of samples to draw from the model.
        among: Where to search: train, the training examples of the run; or a folder or other data.
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
        raise UsageError("give either PATH, the pictures whose neighbours to find, or --samples N, not both.")
    for flag, value in (("--samples", samples), ("--neighbours", neighbours)):
        if value is not None and not 1 <= value <= MOST:
            raise UsageError(f"{flag} must be from 1 to {MOST}, not {value}")

    from genlab.applications.neighbours import search
    from genlab.applications.spaces import find_space, pixels_of

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    spaces = [find_space(opened.model, target, space, extractor, "genlab neighbours")]
    spaces += [] if space == "pixels" else [pixels_of(target)]
    asked = _asked(opened, path, samples, seed, spaces, data)
    with _among(opened, among, data) as given:
        found = search(given, spaces, asked.vectors, neighbours, len(asked.examples), progress=True)
    place = place or opened.place("neighbours", asked.title, space, k=neighbours, seed=seed if samples else None)
    where = "; named by their positions; --among with a folder or file gives its names" if among == "train" else ""
    notes = [*asked.notes, f"among {counted(len(found.names), 'example')} of {among}{where}"]
    result = Neighboured(asked, found, [each.title for each in spaces], notes, place, target)
    write_png(place, result.picture)
    _write_table(result)
    return result


def _asked(
    opened: Opened,
    path: object,
    samples: int | None,
    seed: int,
    spaces: "Sequence[Space]",
    data: Any,  # noqa: ANN401
) -> "Queries":
    """Return the pictures at `path`, or samples."""
    from genlab.applications.queries import queries_at, samples_of
    from genlab.core.condition import in_turn
    from genlab.runs.data import sampling_turns

    if samples is None:
        return queries_at(path, opened.spec, spaces)
    turns = sampling_turns(opened.folder, opened.step, opened.model, (), data)
    held_out = opened.source(data).held_out
    condition = in_turn(turns, range(samples))
    return samples_of(opened.model, opened.spec, condition, samples, seed, held_out, spaces)


def _among(opened: Opened, among: str, data: Any) -> Any:  # noqa: ANN401
    from contextlib import nullcontext

    from genlab.data.originals import of_split, originals

    if among != "train":
        return originals(among, opened.spec.target)
    return nullcontext(of_split("train", opened.source(data).train))


def _write_table(result: Neighboured) -> None:
    import csv
    import io

    from genlab.core.files import replace

    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["file", "class", "neighbour", "rank", "distance"])
    for at, (name, label) in enumerate(zip(result.names, result.asked.labels, strict=True)):
        for rank, (other, distance) in enumerate(result.nearest(at)):
            lines.writerow([name, label or "", other, rank + 1, f"{distance:.7g}"])
    replace(result.table_path, text.getvalue().encode())
