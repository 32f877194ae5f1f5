"""`genlab cluster`: groups of similar examples."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import aligned, counted, printable
from genlab.recipes.settings import CheckpointName, DeviceName, SpaceName
from genlab.verbs.options import RUNS, ExtractorName, File, ImagesName, RunName, SourceName
from genlab.verbs.output import output_of
from genlab.verbs.result import Pictured, reasons, rejections, squashed
from genlab.verbs.using import open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.cluster import Clustering
    from genlab.applications.examples import Examples
    from genlab.applications.rows import Rows, Table
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected
    from genlab.data.originals import Originals

COLUMNS, ON_SHEET, IN_ROW = ("cluster", "distance", "cluster_of_pixels"), 64, 16


@dataclass(frozen=True)
class Cluster:
    """A group of examples."""

    size: int
    classes: Mapping[str, int]  # its examples of each class, the largest class first


@dataclass(frozen=True, eq=False)
class Clustered(Pictured):
    """Clusters of examples, and where they were written."""

    clusters: Sequence[Cluster]
    agreement: Mapping[str, Mapping[str, float]]  # with the classes, of each space; empty without classes
    fitted: str  # on how many examples
    rejected: Sequence["Rejected"]
    path: Path  # the folder: clusters.csv, clusters.png, a contact sheet of each cluster
    picture: "Picture"  # a row of examples of each cluster, the nearest to its mean first
    squashed: int  # pictures that were squashed to the shape of the model
    shape: Sequence[int]  # of an example, as the model sees it

    @property
    def table(self) -> "Table":
        """The cluster of each example, read from the file."""
        from genlab.applications.rows import read_table

        return read_table(self.path / "clusters.csv")

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON, without the assignments."""
        return {
            "clusters": [asdict(each) for each in self.clusters],
            "agreement": {space: dict(each) for space, each in self.agreement.items()},
            "fitted": self.fitted,
            "rejected": reasons(self.rejected),
            "squashed": self.squashed,
            "path": str(self.path),
        }

    def __repr__(self) -> str:
        return f"<Clustered {len(self.clusters)} clusters {self.path}>"

    def __str__(self) -> str:
        files = [*rejections(self.rejected), *squashed(self.squashed, self.shape)]
        rows = []
        for number, each in enumerate(self.clusters):
            shares = [f"{printable(c)} {100 * n / each.size:.0f} %" for c, n in list(each.classes.items())[:3]]
            rows.append([f"cluster {number}", counted(each.size, "example"), ", ".join(shares)])
        found = [[f"{value:.3f}" for value in each.values()] for each in self.agreement.values()]
        table = [[space, *cells] for space, cells in zip(self.agreement, found, strict=True)]
        head = [["agreement with the classes", *next(iter(self.agreement.values()))]] if table else []
        lines = [*files, aligned(rows), f"k-means of {self.fitted}"]
        return "\n".join([*lines, *([aligned([*head, *table])] if table else []), str(self.path)])


@verb
def cluster(
    run: RunName = "latest",
    path: ImagesName = None,
    *,
    clusters: int | None = None,
    space: SpaceName | None = None,
    number: int = 10_000,
    extractor: ExtractorName = "efficientnet-lite0",
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Clustered:
    """Group examples by k-means on their latents: a CSV with the cluster of each, and contact sheets.

    If the examples have classes, it measures how well the clusters match them, beside clusters of as many
    principal components of the pixels. A command that was killed goes on where it was if it is given again.

    Args:
        path: A picture, a folder or a zip of pictures, whose folders are classes, a table of rows, or other data,
            whose held-out part is taken. By default the held-out part of the run's data.
        clusters: Number of clusters. By default as many as the classes of the run's data, or 10 without classes.
        number: About how many examples k-means learns from at most, chosen by a hash of their names; all are
            assigned.
        out: The folder to write. By default in the run folder.
        seed: Seed of k-means.

    Returns:
        The clusters with their sizes and classes, the agreement with the classes, and the folder.

    Raises:
        UsageError: no such run or path, or fewer examples than clusters.
        GenlabError: the model has no such space.
    """
    if clusters is not None and clusters < 2:
        raise UsageError(f"--clusters must be at least 2, not {clusters}")
    png, into = output_of(out)
    if png:
        raise UsageError(f"--out {out} must be a folder: for a table, and a contact sheet of each cluster.")

    from genlab.applications.examples import examples_of, gather
    from genlab.applications.spaces import find_space, pixels_of

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    count = clusters or len(opened.spec.class_names) or 10
    spaces = [find_space(opened.model, target, space, extractor, "genlab cluster"), pixels_of(target)]
    with examples_of(opened.folder, opened.spec, path, data) as given:
        examples = gather(given, spaces, number, progress=True)
        if (there := len(examples.names)) < count:
            raise UsageError(
                f"{count} clusters need {count} examples or more, not {there}. Give more examples, or a smaller "
                "--clusters."
            )
        fitted = _fitted(examples, spaces, count, seed)
        folder = into or opened.place("clusters", given.title, count, space, seed=seed).with_suffix("")
        options = {"clusters": count, "space": space, "extractor": extractor, "number": number, "seed": seed}
        request = {"verb": "cluster", "weights": opened.weights, "data": given.stamp, **options}
        found, agreement, rejected, odd = _assigned(given, fitted, folder / "clusters.csv", request)
    picture = _write_sheets(folder, target, examples, fitted[0])
    return Clustered(found, agreement, examples.note, rejected, folder, picture, odd, target.shape)


def _fitted(examples: "Examples", spaces: Sequence[Any], count: int, seed: int) -> "Sequence[Clustering]":
    """Return the clusters in the space, and in that of the principal components of the pixels."""
    from genlab.applications.cluster import fit
    from genlab.applications.probe import pca

    own, pixels = spaces
    components = pca(examples.vectors[1], own.size)
    title = f"{counted(components.n_components_, 'principal component')} of the {pixels.title}"
    return [
        fit(own.title, own, examples.vectors[0], count, seed),
        fit(title, pixels, examples.vectors[1], count, seed, components),
    ]


def _assigned(
    given: "Originals", fitted: "Sequence[Clustering]", path: Path, request: Mapping[str, Any]
) -> "tuple[list[Cluster], dict[str, Mapping[str, float]], list[Rejected], int]":
    """Write the cluster of each example.

    Return the clusters, their agreement with the classes, the rejected files, and the number of squashed pictures.
    """
    from genlab.applications.cluster import assign
    from genlab.applications.rows import rows

    with rows(path, COLUMNS, request) as written:
        rejected, odd = assign(given, fitted, written, progress=True)
        found, agreement = _found(written, fitted)
        written.finish()
    return found, agreement, rejected, odd


def _found(
    written: "Rows", fitted: "Sequence[Clustering]"
) -> tuple[list[Cluster], dict[str, Mapping[str, float]]]:
    """Return the clusters, and the agreement of each clustering with the classes."""
    import numpy as np

    from genlab.applications.cluster import agreement

    numbers = np.array(written.values)[:, [0, 2]].astype(np.int64)
    labels = np.array([label or "" for label in written.labels])
    clusters = []
    for at in range(len(fitted[0].means)):
        mine = numbers[:, 0] == at
        classes = Counter(label for label in labels[mine].tolist() if label)
        clusters.append(Cluster(int(mine.sum()), dict(classes.most_common())))
    known = labels != ""
    if not known.any():
        return clusters, {}
    found = [agreement(labels[known].tolist(), numbers[known, at]) for at in range(2)]
    return clusters, {each.title: its for each, its in zip(fitted, found, strict=True)}


def _write_sheets(folder: Path, target: "Modality", examples: "Examples", clustering: "Clustering") -> "Picture":
    """Write a contact sheet of each cluster, and one picture with a row of each, which is returned."""
    from genlab.applications.cluster import nearest
    from genlab.core.pictures import stacked

    kept = nearest(clustering, examples.vectors[0], ON_SHEET)
    for number, each in enumerate(kept):
        if len(each):
            write_png(folder / f"cluster-{number:02d}.png", target.draw(examples.shown(each)))
    picture = stacked([target.draw(examples.shown(each[:IN_ROW]), IN_ROW) for each in kept if len(each)])
    write_png(folder / "clusters.png", picture)
    return picture
