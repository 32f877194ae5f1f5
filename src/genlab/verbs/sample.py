"""`genlab sample`: new examples from a model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted, printable
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.mixing import Mixed, grid_of, write_mixed
from genlab.verbs.options import RUNS, File, RunName, SourceName
from genlab.verbs.output import as_rows, output_of, refuse_too_many
from genlab.verbs.result import Pictured
from genlab.verbs.using import Opened, open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.sample_folder import SampleFolder
    from genlab.core.modality import DataSpec, Modality
    from genlab.core.pictures import Picture

MOST_COLUMNS = 16  # in a grid with a column for each class
SHOWN = 64  # images of a folder that a notebook shows
LONGEST = 60  # letters of labels in a file name


@dataclass(frozen=True, eq=False)
class Sampled(Pictured):
    """Samples with their conditions, and where they were written."""

    samples: (
        "Tensor | None"  # (number, *shape), as the model returns them; None if the files of a folder hold them
    )
    condition: Mapping[str, "Tensor"]  # of the samples, by name; in a folder of the first 64
    path: Path  # a .png with a grid, a folder with a PNG for each image, or a .csv with rows of a table
    spec: "DataSpec"
    number: int
    folder: "SampleFolder | None" = None
    resumed: int = 0  # images that were in the folder already, or rows of a table
    shown: "Tensor | None" = None  # the first rows of a table, as the model returns them

    @property
    def picture(self) -> "Picture":
        """A grid of the samples with the names of their classes, below that of their sources if they have some."""
        from genlab.core.pictures import image_grid, stacked

        samples = self.shown if self.samples is None else self.samples
        if samples is None:
            assert self.folder
            samples = self.folder.first(min(self.number, SHOWN), self.condition)
        sources = [self.spec.conditions[n].draw(value) for n, value in self.condition.items() if n != "label"]
        if self.spec.target.spatial != 2 or "label" not in self.condition:
            return stacked([*sources, self.spec.target.draw(samples)])
        names = [_written(self.spec.class_names, label) for label in self.condition["label"].tolist()]
        return stacked([*sources, image_grid(samples, self._columns(), names)])

    def _columns(self) -> int | None:
        """Return the number of columns with which each shows one class, if there are few classes; else None."""
        from genlab.core.pictures import columns_of

        classes = len(set(self.condition["label"].tolist()))
        return columns_of(len(self.condition["label"]), classes) if 1 < classes <= MOST_COLUMNS else None

    def __repr__(self) -> str:
        return f"<Sampled {(self.number, *self.spec.target.shape)} {self.path}>"

    def __str__(self) -> str:
        names = self.spec.class_names
        if self.shown is not None:
            return self._rows()
        if self.folder:
            there = f" ({self.resumed} of them were there already)" if self.resumed else ""
            lines = [f"{counted(self.number, 'image')} in {self.path}{there}"]
            renamed = {n: f for n, f in self.folder.folders.items() if f != names[n]}
            return "\n".join([*lines, *(f'class "{printable(names[n])}" is in {f}/' for n, f in renamed.items())])
        shown = sorted(set(self.condition["label"].tolist())) if "label" in self.condition else []
        numbers = [f"class {n} is {printable(names[n])}" for n in shown if _written(names, n) != names[n]]
        return "\n".join([str(self.path), *numbers])

    def _rows(self) -> str:
        """Return what was written of a table."""
        there = f" ({self.resumed:,} of them were there already)" if self.resumed else ""
        label = getattr(self.spec.target, "label", None)
        left = f'the labels, column "{label}", are not generated: the model is not conditioned on them'
        unlabelled = [left] if label is not None and "label" not in self.condition else []
        return "\n".join([f"{counted(self.number, 'row')} in {self.path}{there}", *unlabelled])


@verb
def sample(
    run: RunName = "latest",
    *,
    number: int = 64,
    label: str | int | Sequence[str | int] | None = None,
    mix: str | None = None,
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> Sampled | Mixed:
    """Generate images: a PNG with a grid, or a folder with a PNG for each image. Rows of a table become a CSV.

    Args:
        number: Number of images or rows.
        label: Class to generate, by name or number, for models trained with labels; several are taken in turn. By
            default all classes in turn.
        mix: ROWSxCOLUMNS, such as 3x5, for models with styles: instead of --number images a PNG with as many as
            there are columns, each with the coarse, middle or fine styles of as many others as there are rows.
        out: A .png for a grid, or a folder for single images, with a folder for each class. Repeat the command to
            continue an incomplete folder. Of a table a .csv for rows, or a .png for the histograms of its
            columns, with those of the training rows as lines. By default a .png or .csv in the run folder.
        seed: Seed of the noise. An image depends only on the seed and its position, not on the number of images.

    Returns:
        The samples, their conditions and the path that was written. Samples in a folder are not kept in memory.
        With `mix` the images, their mixtures and the path.

    Raises:
        UsageError: no such run, class or option, a value that an option does not take, or too many for a grid.
        GenlabError: the model cannot sample, or takes no labels.
    """
    rows = out is not None and Path(out).suffix.lower() == ".csv"
    grid = None if mix is None else grid_of(mix)
    png, into = (png_file(out), None) if grid else (None, None) if rows else output_of(out)
    if number < 1:
        raise UsageError(f"--number must be at least 1, not {number}")
    opened = open_run(os.fspath(run), root, checkpoint, device, sampling, data)
    if into:
        _refuse_as_folder(into, opened.spec.target)
    elif not grid and not (rows := as_rows(out, opened.spec.target)):
        refuse_too_many(number, opened.spec.target.shape, opened.spec.target.noun)

    from genlab.runs.data import sampling_turns
    from genlab.runs.recorded import find_class

    labels = [find_class(opened.folder, str(name)) for name in _several(label)]
    turns = sampling_turns(opened.folder, opened.step, opened.model, labels, data)
    if grid:
        return write_mixed(opened, grid, png, seed, turns, sampling)
    _say_repeated(turns, number)
    if into:
        return _write_singly(opened, into, number, seed, turns, sampling)
    path = png or opened.place("samples", number, _joined(labels), seed=seed, **sampling)
    if rows:
        return _write_rows(opened, Path(out or path.with_suffix(".csv")), number, seed, turns, sampling)
    return _write_grid(opened, path, number, seed, turns)


def _say_repeated(turns: Mapping[str, "Tensor"], number: int) -> None:
    """Log that there are fewer sources than samples: without noise, a model makes the same of the same source."""
    from genlab.core.condition import SOURCE
    from genlab.core.warnings import LOG

    sources = len(turns[SOURCE]) if SOURCE in turns else number
    if number > sources:
        held_out = counted(sources, "held-out source")
        LOG.info(f"{held_out} for {counted(number, 'sample')}, taken in turn; --number {sources} takes each once.")


def _several(label: str | int | Sequence[str | int] | None) -> Sequence[str | int]:
    """Return the classes that were given."""
    if label is None or isinstance(label, str | int):
        return () if label is None else (label,)
    if not label:
        raise UsageError("label is an empty list: give the name or number of a class, or leave it out for all")
    return label


def _joined(labels: Sequence[int]) -> str | None:
    """Return labels as a part of a file name."""
    text = "-".join(map(str, labels))
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]}-and-more-{len(labels)}") or None


def _written(names: Sequence[str], label: int) -> str:
    """Return the name of a class, or its number if a picture cannot show the name."""
    from genlab.core.pictures import drawable

    return names[label] if drawable(names[label]) == names[label] else str(label)


def _refuse_as_folder(folder: Path, target: "Modality") -> None:
    from genlab.applications.sample_folder import refuse_other

    if target.spatial != 2:
        raise UsageError(
            f"--out {folder} would be a folder of single images, but these samples are {target.noun}. Give a .png "
            "for a plot, or for rows of a table a .csv."
        )
    refuse_other(folder)


def _write_rows(
    opened: Opened,
    path: Path,
    number: int,
    seed: int,
    turns: Mapping[str, "Tensor"],
    sampling: Mapping[str, Any],
) -> Sampled:
    from genlab.applications.sample_folder import record_of
    from genlab.applications.sample_table import sample_table
    from genlab.core.condition import in_turn
    from genlab.core.table import Table

    target, names = opened.spec.target, opened.spec.class_names
    assert isinstance(target, Table)
    request = record_of(opened.model, opened.step, seed, turns, names, sampling)
    first, there = sample_table(opened.model, target, names, path, number, seed, turns, request, progress=True)
    return Sampled(None, in_turn(turns, range(len(first))), path, opened.spec, number, resumed=there, shown=first)


def _write_grid(opened: Opened, path: Path, number: int, seed: int, turns: Mapping[str, "Tensor"]) -> Sampled:
    from genlab.applications.sample import sample as draw
    from genlab.core.batch import at_once
    from genlab.core.condition import in_turn

    condition = in_turn(turns, range(number))
    chunk = at_once(opened.spec.target.shape)
    samples = draw(opened.model, number, seed, condition, chunk=chunk, progress=True)
    sampled = Sampled(samples, condition, path, opened.spec, number)
    write_png(path, sampled.picture)
    return sampled


def _write_singly(
    opened: Opened,
    path: Path,
    number: int,
    seed: int,
    turns: Mapping[str, "Tensor"],
    sampling: Mapping[str, Any],
) -> Sampled:
    from genlab.applications.sample import able
    from genlab.applications.sample_folder import SampleFolder, class_folders, record_of
    from genlab.core.batch import at_once
    from genlab.core.condition import in_turn

    able(opened.model, turns)  # before the folder is made
    names, spec = class_folders(opened.spec.class_names), opened.spec
    folders = {label: names[label] for label in turns["label"].tolist()} if "label" in turns else {}
    folder = SampleFolder(path, folders)
    folder.prepare(record_of(opened.model, opened.step, seed, turns, spec.class_names, sampling), number)
    there = folder.fill(opened.model, number, seed, turns, at_once(spec.target.shape), progress=True)
    shown = in_turn(turns, range(min(number, SHOWN)))
    return Sampled(None, shown, path, spec, number, folder, there)
