"""`genlab edit`: pictures, moved along a direction of a model's latents or into another class."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import GenlabError, UsageError
from genlab.core.space import SpaceName
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName, SourceName
from genlab.verbs.output import TABLES, output_of, refuse_inside, refuse_source, refuse_too_many
from genlab.verbs.result import Pictured, reasons, rejections, squashed
from genlab.verbs.using import Opened, open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.edit_files import Done, Edit
    from genlab.applications.edit_sides import Sides, Step
    from genlab.applications.project import Projecting
    from genlab.applications.rows import Rows, Table
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected

By = Literal["label", "mean", "probe"]
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
ENCODED, PROJECTED = 500, 50  # examples on each side of a direction, by default
ROUGH = 100  # steps that project an example of a direction


@dataclass(frozen=True, eq=False)
class Edited(Pictured):
    """Edited pictures, and where they were written."""

    names: Sequence[str]
    titles: Sequence[str]  # of the results of each picture
    frames: "Tensor"  # (B, results, *shape); of a folder only the first 16 pictures
    path: Path  # a .png, or a folder with a folder for each result
    target: "Modality"
    sources: "Tensor | None" = None  # (B, *shape); None for latents that were read from a file
    in_pixels: "Tensor | None" = None  # (B, results, *shape), the same direction in pixels
    rejected: Sequence["Rejected"] = ()  # files that are no pictures
    notes: Sequence[str] = ()
    squashed: int = 0  # pictures that were squashed to the shape of the model

    @property
    def picture(self) -> "Picture":
        """A row for each picture: itself, and its results; below it, the same direction in pixels."""
        import torch

        from genlab.core.pictures import enlarged, image_grid, stacked

        blocks = [each for each in (self.frames, self.in_pixels) if each is not None]
        titles = list(self.titles)
        if self.sources is not None:
            blocks, titles = [torch.cat([self.sources[:, None], each], 1) for each in blocks], ["source", *titles]
        rows = torch.stack(blocks, 1).flatten(0, 1)
        if self.target.spatial != 2:
            return stacked([self.target.draw(each) for each in rows.unbind(1)])
        return image_grid(enlarged(rows.flatten(0, 1)), len(titles), titles * len(rows))

    def values(self) -> dict[str, Any]:
        """Return what was done as plain values for JSON."""
        return {
            "pictures": list(self.names),
            "results": list(self.titles),
            "rejected": reasons(self.rejected),
            "squashed": self.squashed,
            "notes": list(self.notes),
            "path": str(self.path),
        }

    def __repr__(self) -> str:
        return f"<Edited {counted(len(self.names), 'picture')} {self.path}>"

    def __str__(self) -> str:
        count = counted(len(self.names), self.target.noun.removesuffix("s"))
        return "\n".join(
            [
                *rejections(self.rejected),
                *squashed(self.squashed, self.target.shape),
                *self.notes,
                f"{count}, each as: {', '.join(self.titles)}",
                str(self.path),
            ]
        )


@verb
def edit(
    run: RunName,
    path: ImagesName,
    *,
    towards: str | int,
    space: SpaceName = "z",
    strength: tuple[float, ...] | None = None,
    by: By | None = None,
    examples: int | None = None,
    steps: int = 300,
    starts: int = 4,
    seed: int = 0,
    out: File | None = None,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Edited:
    """Change pictures towards a class or the pictures of a folder: in the latents of a model, or by its class.

    The pictures are encoded, or projected if the model has no encoder (see genlab project). A direction leads from
    the latents of other training pictures to those of the class or folder; the same direction in pixels is drawn
    below, to see what the model adds. A model with classes keeps the latent and changes the class. A folder that a
    killed command has begun is completed by the same command.

    Args:
        path: A picture, a folder or a zip of pictures, other data, such as digits, or the latents that genlab
            encode or genlab project wrote. In Python also an array of images.
        towards: A class of the run's data, or a folder of pictures that have what is wanted, or with --space w
            FILE:NAME, a direction that genlab directions wrote.
        space: Where the direction is: latents z; or, of a model with styles, one style for all layers, w, or one
            for each layer, w+. A file of latents brings its own.
        strength: How far to move, in distances between the means of both sides; 0 is the picture's own
            reconstruction, and below 0 leads away. By default 0 0.5 1 1.5.
        by: What is changed: the label that a model with classes is given; or the latent, along the difference of
            the means or along the normal of a linear probe, which leaves more of the rest as it is. By default the
            label if the model takes that class, else mean.
        examples: Training pictures on each side of a direction. By default 500, and 50 if they must be projected.
        steps: Steps that project a picture, for a model without an encoder.
        starts: Latents that compete for a picture that is projected.
        seed: Seed of the starts.
        out: The .png to write, or a folder for single pictures, in their own sizes, with a folder for each result.
            By default a .png in the run folder.

    Returns:
        The edited pictures, and the path that was written.

    Raises:
        UsageError: no such run, path or class, or options that have no effect.
        GenlabError: the model does not decode, or has neither an encoder nor a prior.
    """
    png, into = output_of(out)
    refuse_source(png, path)
    refuse_inside(into, "--out", path, towards)
    if steps < 1 or starts < 1 or (examples is not None and examples < 2):
        raise UsageError(
            "--steps and --starts must be 1 or more, and --examples 2 or more, "
            f"not {steps}, {starts} and {examples}."
        )

    from genlab.applications.picture_folder import refuse_finished
    from genlab.applications.project import Projecting, size_of
    from genlab.applications.style_space import in_space, space_of

    opened = open_run(os.fspath(run), root, checkpoint, device)
    if (table := _table(path)) is not None:
        space = space_of(table.columns)
    opened = replace(opened, model=in_space(opened.model, space))
    size_of(opened.model, opened.spec.target)
    if into:
        refuse_finished(into)
        if opened.spec.target.spatial != 2:
            raise UsageError(
                f"--out {into} would be a folder of pictures, but this model makes {opened.spec.target.noun}. "
                "Give a .png."
            )
    change, notes = _change(opened, str(towards), by, strength, examples, data)
    title, done, rejected = _edited(opened, change, path, Projecting(steps, starts, seed=seed), into)
    shown = None if strength is None else "_".join(f"{each:g}" for each in strength)
    other = None if space == "z" else space
    place = (
        png
        or into
        or opened.place("edits", title, towards=Path(str(towards)).name, by=by, strength=shown, space=other)
    )
    result = _result(opened, change, done, place, rejected, notes)
    if not into:
        write_png(place, result.picture)
    return result


def _edited(
    opened: Opened, change: "Edit", pictures: object, how: "Projecting", into: Path | None
) -> "tuple[str, Done, Sequence[Rejected]]":
    """Edit pictures, or the latents of a file; return their title, what was done, and what is no picture."""
    from genlab.applications.edit_files import COLUMNS, edit_each, pieces_of, pieces_of_table
    from genlab.applications.picture_folder import filling
    from genlab.applications.sample_folder import class_folders
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    model, target, rejected = opened.model, opened.spec.target, list["Rejected"]()
    folders = [into / folder for folder in class_folders(change.titles)] if into else []
    request = {"verb": "edit", "weights": opened.weights, "how": str(how), **change.request()}

    def written(stamp: str) -> "AbstractContextManager[Rows | None]":
        return filling(into, COLUMNS, {**request, "data": stamp}) if into else nullcontext()

    if (table := _table(pictures)) is not None:
        with written(table.digest()) as rows:
            codes = pieces_of_table(model, table, opened.classes, target, rows)
            return Path(str(pictures)).stem, edit_each(model, change, codes, folders, rows), rejected
    with originals(pictures, target) as given, written(given.stamp) as rows:
        if not into:
            refuse_too_many(given.count, target.shape, target.noun, rows=2 * (1 + len(change.titles)))
        codes = pieces_of(model, given, how, opened.classes, rejected, rows)
        done = edit_each(model, change, codes, folders, rows)
        if not done.names:
            raise unreadable(Path(str(pictures)), rejected)
    return given.title, done, rejected


def _table(pictures: object) -> "Table | None":
    """Return the latents in a file, or None for pictures and other data."""
    from genlab.applications.rows import read_table
    from genlab.applications.style_space import space_of

    if not isinstance(pictures, str | os.PathLike) or Path(pictures).suffix.lower() not in TABLES:
        return None
    try:
        table = read_table(Path(pictures))
    except GenlabError:
        return None
    names = [f"{space_of(table.columns)}{at}" for at in range(len(table.columns))]
    return table if list(table.columns) == names else None


def _change(
    opened: Opened,
    towards: str,
    by: By | None,
    strength: Sequence[float] | None,
    examples: int | None,
    data: str | None,
) -> "tuple[Edit, Sequence[str]]":
    """Return what is changed, and notes on it."""
    from genlab.applications.directions import read_direction
    from genlab.applications.edit_files import Edit
    from genlab.applications.edit_sides import Step

    if (found := read_direction(towards)) is not None:
        if by is not None or examples is not None:
            raise UsageError("--by and --examples have no effect on a direction of a file. Leave them out.")
        far = STRENGTHS if strength is None else strength
        step = Step(_in_latents(opened, found), None)
        return Edit([f"{each:+g}" for each in far], far, step, stamp=str(found.tolist())), [
            f"direction: {towards}"
        ]
    label = _label(opened, towards)
    takes = label is not None and bool(opened.classes)
    if by == "label" and not takes:
        raise UsageError(f"--by label needs a model with classes and one of them, not {towards}. Try --by mean.")
    if takes and by in (None, "label"):
        if strength is not None:
            raise UsageError("--strength has no effect on a label. Leave it out, or add --by mean.")
        name = opened.spec.class_names[label or 0]
        return Edit(["its own class", name], label=label), []
    strengths = STRENGTHS if strength is None else strength
    if not strengths:
        raise UsageError("--strength needs a number or more, such as 0 0.5 1.")
    step, sides = _step(opened, towards, label, examples, data, probe=by == "probe")
    images = opened.spec.target.spatial == 2
    pixels = "the second row of each picture: the same direction in pixels, without the model"
    notes = [f"direction: {sides.note}", *([pixels] if images else [])]
    stamp = f"{sides.stamp} {len(sides.towards)} {len(sides.rest)} {by or 'mean'}"
    return Edit([f"{each:+g}" for each in strengths], strengths, step, stamp=stamp), notes


def _in_latents(opened: Opened, found: "Tensor") -> "Tensor":
    """Return a direction of one style as one of all the model's latents.

    Raises:
        UsageError: the latents are no styles of this size.
    """
    from genlab.applications.project import size_of
    from genlab.applications.style_space import StyleSpace

    latents = size_of(opened.model, opened.spec.target)
    if not isinstance(opened.model, StyleSpace) or latents % len(found):
        raise UsageError(
            f"the direction has {counted(len(found), 'number')}, those of styles. Add --space w, and give a run "
            "with styles of this size."
        )
    return found.repeat(latents // len(found))


def _label(opened: Opened, towards: str) -> int | None:
    """Return the class that is meant, or None for a folder."""
    from genlab.runs.recorded import find_class

    try:
        return find_class(opened.folder, towards)
    except UsageError as error:
        if Path(towards).exists():
            return None
        raise UsageError(f"{error} There is no folder {towards} either.") from None


def _step(
    opened: Opened, towards: str, label: int | None, examples: int | None, data: str | None, *, probe: bool
) -> "tuple[Step, Sides]":
    """Return the direction towards a class or a folder, and the examples from which it is."""
    from genlab.applications.edit_sides import sides_of_class, sides_of_folder, step_of
    from genlab.applications.project import Projecting
    from genlab.core.contract import Encodes

    train = opened.source(data).train
    count = examples or (ENCODED if isinstance(opened.model, Encodes) else PROJECTED)
    sides = sides_of_folder(Path(towards), train, count) if label is None else sides_of_class(train, label, count)
    rough = Projecting(ROUGH, starts=1)
    return step_of(opened.model, sides, rough, probe=probe, progress=True), sides


def _result(
    opened: Opened, change: "Edit", done: "Done", place: Path, rejected: "Sequence[Rejected]", notes: Sequence[str]
) -> Edited:
    import torch

    sources, in_pixels = (torch.cat(each) if each else None for each in (done.sources, done.in_pixels))
    return Edited(
        done.names,
        change.titles,
        torch.cat(done.frames),
        place,
        opened.spec.target,
        sources,
        in_pixels,
        rejected,
        notes if sources is not None else notes[:1],
        done.squashed,
    )
