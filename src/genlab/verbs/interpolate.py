"""`genlab interpolate`: paths through the latent space of a model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName, SourceName
from genlab.verbs.using import Opened, open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture


@dataclass(frozen=True, eq=False)
class Interpolated:
    """Images along paths through latent space, and where they were written."""

    frames: "Tensor"  # (stretches, frames, C, H, W) in [-1, 1]
    path: Path  # the .png
    animation: Path  # the .gif
    target: "Modality"

    @property
    def picture(self) -> "Picture":
        """A row of images for each pair of endpoints."""
        return self.target.draw(self.frames.flatten(0, 1), self.frames.shape[1])

    def __repr__(self) -> str:
        return f"<Interpolated {tuple(self.frames.shape)} {self.path}>"

    def __str__(self) -> str:
        return f"{self.path}\n{self.animation}"

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.picture)


@verb
def interpolate(
    run: RunName = "latest",
    *,
    between: ImagesName = None,
    stretches: int = 6,
    frames: int = 10,
    out: File | None = None,
    seed: int = 0,
    data: SourceName = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Interpolated:
    """Interpolate in latent space: a PNG with a row for each pair of endpoints, and a GIF of all rows.

    Models with a normal prior interpolate on great circles between draws from it, autoencoders on straight lines
    between held-out images.

    Args:
        between: Folder of images to interpolate between, for models that encode, or the name of data of your own.
            In Python also an array of images.
        stretches: Number of rows.
        frames: Images per row.
        out: The .png to write; the .gif is written next to it. By default in the run folder.
        seed: Seed of the draws.

    Returns:
        The images (stretches, frames, *shape) and the paths that were written.

    Raises:
        UsageError: no such run, or too few images for the rows.
        GenlabError: the model cannot decode, or cannot encode the images of `between`.
    """
    if stretches < 1 or frames < 2:
        raise UsageError(
            f"an interpolation needs --stretches 1 and --frames 2 or more, not {stretches} and {frames}"
        )
    place = png_file(out)

    from genlab.applications.interpolate import interpolate as walk
    from genlab.core.files import replace
    from genlab.core.pictures import gif

    opened = open_run(os.fspath(run), root, checkpoint, device, data=data)
    title, images = _ends(opened, between, stretches + 1, data)
    paths = walk(opened.model, stretches + 1, frames, seed, images).cpu()
    place = place or opened.place("interpolations", title, f"{stretches}x{frames}", seed=seed)
    result = Interpolated(paths, place, place.with_suffix(".gif"), opened.spec.target)
    write_png(place, result.picture)
    replace(result.animation, gif([opened.spec.target.draw(frame[None], 1) for frame in paths.flatten(0, 1)]))
    return result


def _ends(opened: Opened, between: object, count: int, data: str | None) -> "tuple[str | None, Tensor | None]":
    """Return the images to interpolate between and what they are called, or None for draws from the prior."""
    from genlab.core.contract import HasPrior
    from genlab.core.device import device_of
    from genlab.data.read import read_images
    from genlab.runs.data import held_out_of

    title = None
    if between is not None:
        found = read_images(between, opened.spec.target)
        title, images = found.title, found.images
    elif isinstance(opened.model, HasPrior):
        return None, None
    else:
        images = held_out_of(opened.folder, opened.step, data).x
    if len(images) < count:
        place = title or "the held-out part"
        raise UsageError(f"{place} has {counted(len(images), 'image')}, but --stretches {count - 1} needs {count}")
    return title, images[:count].to(device_of(opened.model))
