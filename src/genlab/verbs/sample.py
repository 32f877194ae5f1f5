"""`genlab sample`: new examples from a model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, RunName, SourceName
from genlab.verbs.using import open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.modality import DataSpec, Modality
    from genlab.core.pictures import Picture

MOST_COLUMNS = 16  # in a grid with a column for each class
OTHER_PICTURES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Sampled:
    """Samples with their conditions, and where they were written."""

    samples: "Tensor"  # (number, *shape), as the model returns them
    condition: Mapping[str, "Tensor"]  # that was chosen, by name
    path: Path  # a .png with a grid, or a folder with a PNG for each image
    spec: "DataSpec"
    columns: int | None = None  # of the grid; None for a square one

    @property
    def picture(self) -> "Picture":
        """A grid of the samples, below that of their sources if they have some."""
        from genlab.core.pictures import stacked

        sources = [self.spec.conditions[n].draw(value) for n, value in self.condition.items() if n != "label"]
        return stacked([*sources, self.spec.target.draw(self.samples, self.columns)])

    def __repr__(self) -> str:
        return f"<Sampled {tuple(self.samples.shape)} {self.path}>"

    def __str__(self) -> str:
        return str(self.path) if _is_png(self.path) else f"{len(self.samples)} images in {self.path}"

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.picture)


@verb
def sample(
    run: RunName = "latest",
    *,
    number: int = 64,
    label: str | int | None = None,
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> Sampled:
    """Generate images: a PNG with a grid, or a folder with a PNG for each image.

    Args:
        number: Number of images.
        label: Class to generate, by name or number, for models trained with labels. By default all classes in
            turn.
        out: A .png for a grid, or a folder for single images. By default a grid in the run folder.
        seed: Seed of the noise; the same seed gives the same images.

    Returns:
        The samples, their conditions and the path that was written.

    Raises:
        UsageError: no such run, class or option, or a value that an option does not take.
        GenlabError: the model cannot sample, or takes no labels.
    """
    path = None if out is None else Path(out)
    if number < 1:
        raise UsageError(f"--number must be at least 1, not {number}")
    if path and path.suffix.lower() in OTHER_PICTURES:
        raise UsageError(f"--out {path} must be a .png for a grid, or a folder for single PNGs")
    opened = open_run(os.fspath(run), root, checkpoint, device, sampling, data)
    into = None if path is None or _is_png(path) else path
    if into:
        _refuse_as_folder(into, opened.spec.target)  # before sampling, which may take minutes

    from genlab.applications.sample import sample as draw
    from genlab.core.condition import in_turn
    from genlab.core.pictures import columns_of
    from genlab.runs.data import find_class, sampling_turns

    chosen = None if label is None else find_class(opened.folder, str(label))
    turns = sampling_turns(opened.folder, opened.step, opened.model, () if chosen is None else (chosen,), data)
    condition = in_turn(turns, range(number))
    samples = draw(opened.model, number, seed, condition, progress=True)
    columns, classes = None, opened.spec.classes
    if label is None and 1 < classes <= MOST_COLUMNS and "label" in getattr(opened.model, "conditions", {}):
        columns = columns_of(number, classes)
    place = path or opened.place("samples", number, chosen, seed=seed, **sampling)
    sampled = Sampled(samples, condition, place, opened.spec, columns)
    if into:
        _write_singly(samples, into)
    else:
        write_png(place, sampled.picture)
    return sampled


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def _refuse_as_folder(folder: Path, target: "Modality") -> None:
    from genlab.core.files import storage

    if target.spatial != 2:
        raise UsageError(
            f"--out {folder} would be a folder of single images, but these samples are {target.noun}. Give a .png "
            "for a plot."
        )
    with storage(folder):
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty. Choose a new --out, so that images are not mixed")


def _write_singly(images: "Tensor", folder: Path) -> None:
    from genlab.core.files import storage, write
    from genlab.core.pictures import png, to_bytes

    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(to_bytes(images)):
        write(folder / f"{number:06d}.png", png(picture))
