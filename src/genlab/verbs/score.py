"""`genlab score`: how anomalous examples are, by a model and beside it by their nearest normal neighbours."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import UsageError
from genlab.core.text import aligned, counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, ExtractorName, File, ImagesName, RunName, SourceName
from genlab.verbs.output import refuse_inside, refuse_source, table_file
from genlab.verbs.result import Pictured, reasons, rejections
from genlab.verbs.using import open_run
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.rows import Table
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected

MOST_COLUMNS = 16  # of the printed table


@dataclass(frozen=True, eq=False)
class Scored(Pictured):
    """Anomaly scores of examples, their figures if it is known what is anomalous, and where they were written."""

    rows: int  # number of examples
    figures: Mapping[str, Mapping[str, float]]  # by score: auroc, average_precision, f1, …; none without classes
    thresholds: Mapping[str, float | None]  # by score: higher ones are anomalies
    meanings: Mapping[str, str]  # of the scores
    notes: Sequence[str]  # what was recognised and decided, and warnings
    rejected: Sequence["Rejected"]  # files that are no pictures
    picture: "Picture"  # histograms and ROC curves
    path: Path  # a .csv or .npz; the picture lies beside it
    heatmaps: Path | None = None
    html: Path | None = None

    @property
    def table(self) -> "Table":
        """The names, classes and scores, read from the file."""
        from genlab.applications.rows import read_table

        return read_table(self.path)

    def values(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON, without the scores."""
        return {
            "rows": self.rows,
            "figures": {name: dict(figures) for name, figures in self.figures.items()},
            "thresholds": dict(self.thresholds),
            "meanings": dict(self.meanings),
            "notes": list(self.notes),
            "rejected": reasons(self.rejected),
            "path": str(self.path),
            "picture": str(self.path.with_suffix(".png")),
            "heatmaps": self.heatmaps and str(self.heatmaps),
            "html": self.html and str(self.html),
        }

    def __repr__(self) -> str:
        return f"<Scored {self.rows} by {', '.join(self.thresholds)} {self.path}>"

    def __str__(self) -> str:
        every = list(dict.fromkeys(column for name in self.thresholds for column in self.figures.get(name, ())))
        columns, more = every[:MOST_COLUMNS], len(every) - MOST_COLUMNS
        lines = [["score", *columns, "threshold", "what it is"]]
        for name, limit in self.thresholds.items():
            known = self.figures.get(name, {})
            numbers = [f"{known[column]:.3f}" if column in known else "" for column in columns]
            lines.append([name, *numbers, "none" if limit is None else f"{limit:.4g}", self.meanings[name]])
        return "\n".join(
            [
                aligned(lines),
                *([f"… and {counted(more, 'more figure')} of each; --json has all"] if more > 0 else []),
                *self.notes,
                *rejections(self.rejected),
                f"{counted(self.rows, 'row')}; higher scores are more anomalous",
                *(
                    str(path)
                    for path in (self.path, self.path.with_suffix(".png"), self.heatmaps, self.html)
                    if path
                ),
            ]
        )


@verb
def score(
    run: RunName,
    path: ImagesName,
    *,
    by: Sequence[str] | None = None,
    normal: ImagesName = None,
    normal_class: Sequence[str] | None = None,
    label: str | None = None,
    threshold: float | Literal["f1"] = 0.99,
    extractor: ExtractorName = "auto",
    heatmaps: File | None = None,
    html: File | None = None,
    out: File | None = None,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Scored:
    """Score how anomalous pictures or rows are, in several ways: a row for each, with its name and class.

    Beside the scores of the model there is always the distance to the nearest normal examples, in features. If
    classes tell which examples are normal, the scores are measured: AUROC, average precision, F1. A data set with
    the folders train/good, test and ground_truth is recognised; its masks measure the heat maps, too. A command
    that was killed goes on where it was if it is given again.

    Args:
        by: Scores: reconstruction, likelihood, latent, combined (reconstruction, latent, features), rate,
            discriminator, perceptual, features, pca, isolation-forest; by default all that the model can. The
            verdict is by the first one.
        normal: Normal examples to compare with and to calibrate thresholds on, of the same kinds as the scored
            ones; by default the data of the run.
        normal_class: Classes of the scored examples that are normal; by default good or normal, or 0 if the only
            other one is 1.
        label: Column of a table that holds the classes of its rows; by default that with which the model was
            trained.
        threshold: Share of the normal examples below the threshold, such as 0.99; or f1: the threshold with the
            best F1 on the scored examples, whose classes must be known.
        extractor: Feature extractor: efficientnet-lite0, efficientnet-lite0@96, inception, classifier or pixels;
            auto takes pixels below 32 pixels and for rows.
        heatmaps: The folder to write heat maps to: a map, an overlay and a mask of unusual pixels of each picture.
        html: The .html to write, with the figures, charts and the most anomalous pictures.
        out: The .csv or .npz to write. By default a .csv in the run folder.

    Returns:
        The figures and thresholds, and the paths that were written; `table` reads the scores.

    Raises:
        UsageError: no such run, path, score or class, or an `out` that is no .csv or .npz.
        DataError: no example or no normal one could be read.
        GenlabError: the model lacks what a score needs.
    """
    refuse_inside(heatmaps, "--heatmaps", path, normal)
    if threshold != "f1" and not 0 < threshold < 1:
        raise UsageError(f"--threshold {threshold:g} must be a share between 0 and 1, such as 0.99, or f1.")

    from genlab.applications.score_run import Request, score_run
    from genlab.applications.scores import MEANINGS, chosen

    opened = open_run(os.fspath(run), root, checkpoint, device)
    names = chosen(opened.model, opened.spec.target, by)

    def place(title: str) -> Path:
        table = table_file(out, opened.place("scores", title, by="-".join(by or ["all"])).with_suffix(".csv"))
        refuse_source(table.with_suffix(".png"), path, normal)
        return table

    request = Request(
        path,
        names,
        normal,
        normal_class,
        label,
        threshold,
        extractor,
        None if heatmaps is None else Path(heatmaps),
        None if html is None else Path(html),
        place,
        opened.weights,
        opened.step,
        data,
    )
    done = score_run(opened.model, opened.folder, opened.spec, request)
    return Scored(
        done.count,
        done.measured.figures,
        done.measured.thresholds,
        {name: MEANINGS[name] for name in names},
        done.notes,
        done.rejected,
        done.chart,
        done.table,
        request.heatmaps,
        request.html,
    )
