"""`genlab project`: the latents that a model decodes to given pictures."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import GenlabError, UsageError
from genlab.core.space import SpaceName
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName, SourceName
from genlab.verbs.output import refuse_source, table_file
from genlab.verbs.result import Pictured, reasons, rejections, squashed
from genlab.verbs.using import Opened, open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.project_baselines import Baselines
    from genlab.applications.rows import Table
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected

LARGE = 64  # pixels of a side from which the perceptual distance counts
PERCEPTUAL = 0.05
LEAST_ERROR = 4e-10  # 100 dB, which stand for equal pictures
MOST_LINES = 100  # of errors; the result has all of them
ABOUT: Mapping[str, str] = {
    "projection": "projection",
    "nearest": "nearest training example",
    "PCA": "PCA with as many numbers",
}


@dataclass(frozen=True, eq=False)
class Projected(Pictured):
    """Projections of examples, and where they were written."""

    names: Sequence[str]
    errors: Mapping[str, Sequence[float]]  # mean squared errors of "projection", "nearest" and "PCA"
    columns: "Mapping[str, Tensor]"  # the first examples and the same, each (B, *shape)
    rejected: Sequence["Rejected"]  # files that are no pictures
    path: Path  # a .csv or .npz with the latents
    picture_path: Path  # the .png of the first examples
    target: "Modality"
    squashed: int = 0  # pictures that were squashed to the shape of the model
    notes: Sequence[str] = field(default=())

    @property
    def table(self) -> "Table":
        """The names, classes and latents, read from the file."""
        from genlab.applications.rows import read_table

        return read_table(self.path)

    @property
    def psnr(self) -> Mapping[str, float]:
        """The mean PSNR in dB of the projections and of the baselines, if the examples are pictures."""
        import torch

        from genlab.metrics.similarity import decibels

        if self.target.spatial != 2:
            return {}
        errors = {name: torch.tensor(each).clamp(min=LEAST_ERROR) for name, each in self.errors.items()}
        return {name: decibels(each).mean().item() for name, each in errors.items()}

    @property
    def picture(self) -> "Picture":
        """A row for each of the first examples: itself, its projection, and the baselines."""
        import torch

        from genlab.core.pictures import enlarged, image_grid, stacked

        if self.target.spatial != 2:
            return stacked([self.target.draw(each) for each in self.columns.values()])
        rows = enlarged(torch.stack(list(self.columns.values()), 1))
        return image_grid(rows.flatten(0, 1), len(self.columns), [*self.columns] * len(rows))

    def values(self) -> dict[str, Any]:
        """Return the errors as plain values for JSON."""
        return {
            "rows": len(self.names),
            "psnr": dict(self.psnr),
            "errors": {n: dict(zip(self.names, each, strict=True)) for n, each in self.errors.items()},
            "rejected": reasons(self.rejected),
            "squashed": self.squashed,
            "notes": list(self.notes),
            "path": str(self.path),
            "picture": str(self.picture_path),
        }

    def __repr__(self) -> str:
        return f"<Projected {counted(len(self.names), 'row')} {self.path}>"

    def __str__(self) -> str:
        shown = list(zip(self.names, self.errors["projection"], strict=True))[:MOST_LINES]
        more = len(self.names) - MOST_LINES
        means = {name: sum(each) / len(each) for name, each in self.errors.items()}
        levels = {name: f", {value:.2f} dB" for name, value in self.psnr.items()}
        return "\n".join(
            [
                *(f"{error:.5f}  {name}" for name, error in shown),
                *([f"… and {counted(more, 'more row')}; --json lists all"] if more > 0 else []),
                *rejections(self.rejected),
                *squashed(self.squashed, self.target.shape),
                *self.notes,
                f"mean squared error per number, of {counted(len(self.names), 'row')}:",
                *(f"{mean:.5f}{levels.get(name, '')}  {ABOUT[name]}" for name, mean in means.items()),
                str(self.path),
                str(self.picture_path),
            ]
        )


@verb
def project(
    run: RunName,
    path: ImagesName,
    *,
    space: SpaceName = "z",
    steps: int = 300,
    starts: int = 4,
    perceptual: float | None = None,
    noise: float = 0.05,
    seed: int = 0,
    out: File | None = None,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Projected:
    """Find the latents that a model decodes to given pictures, by optimising them, also those of a GAN.

    Each picture is squashed to the size of the model; nothing is cropped. A model that encodes starts from its
    code. A model with classes takes the class that it infers, else that of the picture's folder, else the one with
    which the picture is found best. A command that was killed goes on where it was if it is given again. Beside
    the projections are the nearest training pictures, and PCA with as many numbers.

    Args:
        space: What is found: latents z; or, of a model with styles, one style for all layers, w, or one for each
            layer, w+. w+ comes nearest, z stays nearest to what the model has learned.
        steps: Steps of the optimisation; more are slower and come nearer.
        starts: Latents that compete for a picture in the first quarter of the steps; more may come nearer.
        perceptual: Weight of the distance in features of EfficientNet-Lite0 beside the squared error of the
            pixels, for projections that look alike rather than agree in pixels. By default 0.05 for pictures of 64
            pixels or more, and 0 for smaller ones.
        noise: Deviation of the pixels, in [-1, 1], that the latents need not explain. With more the latents stay
            nearer to the prior, where they are better to edit; with 0 the prior does not count.
        seed: Seed of the starts.
        out: The .csv or .npz of latents to write, for decode, edit and other programs; a .png of the first
            pictures is written next to it. By default a .npz in the run folder.

    Returns:
        The errors of the projections and of the baselines, and the paths that were written; `table` reads the
        latents.

    Raises:
        UsageError: no such run or path, an option out of range, or an `out` that is no .csv or .npz.
        GenlabError: the model does not decode.
    """
    _refuse(steps=steps, starts=starts, perceptual=perceptual, noise=noise)

    import torch

    from genlab.applications.project import Projecting, size_of
    from genlab.applications.project_files import measure_each, project_each
    from genlab.applications.rows import rows
    from genlab.applications.style_space import in_space
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    opened = open_run(os.fspath(run), root, checkpoint, device)
    opened = replace(opened, model=in_space(opened.model, space))
    target, classes = opened.spec.target, opened.classes
    latent = size_of(opened.model, target)
    if perceptual is None:
        perceptual = PERCEPTUAL if target.spatial == 2 and min(target.shape[1:]) >= LARGE else 0.0
    how = Projecting(steps, starts, perceptual=perceptual, noise=noise, seed=seed)
    other = None if space == "z" else space
    with originals(path, target) as given:
        table = table_file(
            out, opened.place("projections", given.title, space=other, seed=seed or None).with_suffix(".npz")
        )
        refuse_source(table.with_suffix(".png"), path)
        request = {"verb": "project", "weights": opened.weights, "data": given.stamp, "how": str(how)}
        with rows(table, [f"{space}{at}" for at in range(latent)], request) as written:
            rejected = project_each(opened.model, given, written, how, classes, progress=True)
            if not written.names:
                raise unreadable(Path(str(path)), rejected)
            baselines, notes = _baselines(opened, data, latent)
            done = measure_each(opened.model, given, written, classes, baselines)
            written.finish(errors=done.errors["projection"])
    columns = {name: torch.cat(parts) for name, parts in done.columns.items()}
    strip = table.with_suffix(".png")
    result = Projected(written.names, done.errors, columns, rejected, table, strip, target, done.squashed, notes)
    write_png(strip, result.picture)
    return result


def _refuse(*, steps: int, starts: int, perceptual: float | None, noise: float) -> None:
    if steps < 1:
        raise UsageError(f"--steps must be 1 or more, not {steps}. Try 300.")
    if starts < 1:
        raise UsageError(f"--starts must be 1 or more, not {starts}. Try 4.")
    if perceptual is not None and perceptual < 0:
        raise UsageError(f"--perceptual must be 0 or more, not {perceptual:g}. Try {PERCEPTUAL:g}.")
    if noise < 0:
        raise UsageError(f"--noise must be 0 or more, not {noise:g}. Try 0.05.")


def _baselines(opened: Opened, data: str | None, latent: int) -> "tuple[Baselines | None, Sequence[str]]":
    """Return the baselines, from the training data of a run, or none and why."""
    from genlab.applications.project_baselines import baselines_of

    try:
        train = opened.source(data).train
    except GenlabError as error:
        return None, [f"without the baselines, which need the data of the run: {error}"]
    found = baselines_of(train, latent)
    return found, [f"baselines of {counted(len(found.examples), 'training example')}"]
