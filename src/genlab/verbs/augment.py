"""`genlab augment`: generated pictures that fill up rare classes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import UsageError
from genlab.core.text import aligned, counted, printable
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, ExtractorName, File, RunName, SourceName
from genlab.verbs.output import output_of
from genlab.verbs.using import Opened, open_run
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.applications.augment import Filled
    from genlab.applications.augment_accuracy import Accuracy
    from genlab.applications.rows import Rows, Table
    from genlab.data.dataset import Source


@dataclass(frozen=True, eq=False)
class Augmented:
    """Generated pictures in folders of classes, and what became of the candidates."""

    path: Path  # the folder of the pictures
    table_path: Path  # a .csv with a row for each candidate
    filled: Sequence["Filled"]  # the classes that were filled up
    accuracies: Sequence["Accuracy"]  # with and without the pictures; empty if they were not measured

    @property
    def table(self) -> "Table":
        """The candidates, read from the record."""
        from genlab.applications.rows import read_table

        return read_table(self.table_path)

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        classes = {each.gap.name: each.values() for each in self.filled}
        accuracy = {each.trained_on: each.values() for each in self.accuracies}
        return {"path": str(self.path), "table": str(self.table_path), "classes": classes, "accuracy": accuracy}

    def __repr__(self) -> str:
        return f"<Augmented {sum(each.kept for each in self.filled)} pictures {self.path}>"

    def __str__(self) -> str:
        header = ("class", "real", "generated", "low score", "copies refused")
        rows = [
            (printable(each.gap.name), *(f"{n:,}" for n in (each.gap.real, each.kept, each.low, each.copies)))
            for each in self.filled
        ]
        made = counted(sum(each.kept for each in self.filled), "picture")
        lines = [aligned([header, *rows]), f"{made} in {self.path}", f"all candidates: {self.table_path}"]
        if self.accuracies:
            from genlab.applications.augment_accuracy import as_text

            lines += ["", as_text(self.accuracies, [each.gap.name for each in self.filled])]
        return "\n".join(lines)


@verb
def augment(
    run: RunName,
    *,
    per_class: int | None = None,
    out: File | None = None,
    filter: Literal["classifier", "discriminator", "none"] = "classifier",  # noqa: A002 the word of the field
    keep: float | None = None,
    classifier: bool = False,
    extractor: ExtractorName = "pixels",
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> Augmented:
    """Fill up rare classes with generated pictures: a folder for each class, and a record of all candidates.

    Candidates with low scores and copies of training pictures are refused, and counted. A command that was killed
    goes on where it was if it is given again.

    Args:
        per_class: Pictures that each class is to have, its training pictures included: for 6000, a class of 60
            gets 5,940. By default as many as the largest class has.
        out: The folder to write; a .csv of the same name is written next to it. By default in the run folder.
        filter: Score of a candidate: the probability of its class, by a classifier trained on the real data; or
            the output of the model's discriminator; or none, which keeps all but copies.
        keep: Share of candidates to keep, those with the highest scores; by default 0.5.
        classifier: Also measure whether the pictures help: the accuracy on held-out pictures of a classifier
            trained with and without them, beside repeated and mirrored real ones, with 3 seeds each.
        extractor: Features in which copies are searched. A candidate is a copy if it is closer to a training
            picture of its class than 99 % of the held-out ones are, so that 1 % of new pictures are refused, too.

    Returns:
        The counts of each class, the accuracies, and the paths that were written; `table` reads the record.

    Raises:
        GenlabError: no such run, no class with fewer pictures, an `out` that holds something else, or a model that
            does not generate pictures of a class.
    """
    from genlab.applications.augment import COLUMNS, VERDICTS, Augmenter, gaps_of
    from genlab.applications.augment_filter import filter_of, neighbourhood
    from genlab.applications.rows import rows
    from genlab.core.device import device_of
    from genlab.runs.extractors import find_extractor

    opened = open_run(os.fspath(run), root, checkpoint, device, sampling)
    source = _source(opened, data)
    gaps, shape = gaps_of(source.train, per_class), source.train.spec.target.shape
    options = {"filter": filter, "keep": keep, "seed": seed, **sampling}
    folder, record = _places(out, opened.place("augmented", per_class, **options).with_suffix(""))
    near = partial(neighbourhood, find_extractor(extractor, device_of(opened.model), source), source)
    chosen = filter_of(filter, keep, opened.model, source)
    what = {"verb": "augment", "weights": opened.weights, "data": source.train.fingerprint, "per class": per_class}
    request = {**what, **options, "keep": chosen.keep, "extractor": extractor}
    with rows(record, COLUMNS, request) as written:
        filled = Augmenter(opened.model, chosen, near, seed, folder, written, shape).fill(gaps)
        measured = _measured(opened, source, filled, folder, written) if classifier else []
        verdicts = [VERDICTS[int(code)] for code in written.values[:, -1]]
        written.finish({"verdict": verdicts, "seed": [seed] * len(verdicts)})
    return Augmented(folder, record, filled, measured)


def _source(opened: Opened, data: SourceName) -> "Source":
    """Return the data of a run whose model draws pictures of a given class, at the model's size.

    Raises:
        GenlabError: it does not draw them.
    """
    from genlab.applications.augment import drawing_classes

    source = opened.source(data)
    drawing_classes(opened.model, source.train)
    return source


def _places(out: File | None, default: Path) -> tuple[Path, Path]:
    """Return the folder of pictures and the record beside it, both new or of a command that was interrupted.

    Raises:
        UsageError: there is something else, or `out` is a file.
    """
    from genlab.core.files import refuse_filled

    png, into = output_of(out)
    if png:
        raise UsageError(f"--out {png} must be a folder, for single pictures.")
    folder = into or default
    record = folder.with_name(f"{folder.name}.csv")
    if not record.with_name(f"{record.name}.part").exists():
        refuse_filled(folder)
        if record.exists():
            raise UsageError(f"{record} is there already. Choose another --out.")
    return folder, record


def _measured(
    opened: Opened, source: "Source", filled: Sequence["Filled"], folder: Path, written: "Rows"
) -> list["Accuracy"]:
    """Return the accuracies of classifiers that are trained with and without the pictures."""
    from genlab.applications.augment import KEPT
    from genlab.applications.augment_accuracy import accuracies
    from genlab.core.device import device_of

    kept = written.values[:, -1] == KEPT
    files = [folder / name for name, wanted in zip(written.names, kept, strict=True) if wanted]
    record = written.part / "accuracies"
    return accuracies(source.train, source.held_out, filled, files, record, device_of(opened.model))
