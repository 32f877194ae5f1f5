"""`genlab interpolate`: paths through the latent space of a model."""

import os
from collections.abc import Sequence
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


DRAWN = 6  # rows between draws or held-out images, by default
MOST = 100  # rows between all images of a folder, by default


@dataclass(frozen=True, eq=False)
class Interpolated:
    """Images along paths through latent space, and where they were written."""

    frames: "Tensor"  # (stretches, frames, C, H, W) in [-1, 1]
    path: Path  # the .png
    animation: Path  # the .gif
    target: "Modality"
    classes: Sequence[str] = ()  # of the stretches + 1 ends, if the model has classes
    notes: Sequence[str] = ()  # images that were not used

    @property
    def picture(self) -> "Picture":
        """A row of images for each pair of endpoints."""
        return self.target.draw(self.frames.flatten(0, 1), self.frames.shape[1])

    def __repr__(self) -> str:
        return f"<Interpolated {tuple(self.frames.shape)} {self.path}>"

    def __str__(self) -> str:
        lines = [*self.notes, str(self.path), str(self.animation)]
        if self.classes:
            shown = ", ".join(self.classes)
            lines.insert(0, f"classes of the ends: {shown}; between two classes, the class changes half-way")
        return "\n".join(lines)

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.picture)


@verb
def interpolate(
    run: RunName = "latest",
    *,
    between: ImagesName = None,
    stretches: int | None = None,
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
    between held-out images. A model with classes decodes each end under its own class: that which it infers for an
    image, and the classes in turn for draws. Between two classes, the class changes half-way.

    Args:
        between: Folder of images to interpolate between, for models that encode, or the name of data of your own.
            In Python also an array of images.
        stretches: Number of rows. By default as many as the images of --between allow, at most 100; without it 6.
        frames: Images per row.
        out: The .png to write; the .gif is written next to it. By default in the run folder.
        seed: Seed of the draws.

    Returns:
        The images (stretches, frames, *shape) and the paths that were written.

    Raises:
        UsageError: no such run, or too few images for the rows.
        GenlabError: the model cannot decode, or cannot encode the images of `between`.
    """
    if stretches is not None and stretches < 1:
        raise UsageError(f"an interpolation needs --stretches 1 or more, not {stretches}")
    if frames < 2:
        raise UsageError(f"an interpolation needs --frames 2 or more, not {frames}")
    place = png_file(out)

    from genlab.applications.interpolate import ends_of
    from genlab.applications.interpolate import interpolate as walk
    from genlab.core.files import replace
    from genlab.core.pictures import gif

    opened = open_run(os.fspath(run), root, checkpoint, device, data=data)
    found = _found(opened, between, stretches, data)
    ends = ends_of(opened.model, found.count, seed, found.images)
    paths = walk(opened.model, ends, frames).cpu()
    place = place or opened.place("interpolations", found.title, f"{len(paths)}x{frames}", seed=seed)
    names = getattr(opened.spec.conditions.get("label"), "names", ())
    classes = [names[label] for label in ends.condition.get("label", ())]
    result = Interpolated(paths, place, place.with_suffix(".gif"), opened.spec.target, classes, found.notes)
    write_png(place, result.picture)
    replace(result.animation, gif([opened.spec.target.draw(frame[None], 1) for frame in paths.flatten(0, 1)]))
    return result


@dataclass(frozen=True)
class _Found:
    count: int  # of the ends
    images: "Tensor | None" = None  # (count, C, H, W); None for draws from the prior
    title: str | None = None  # in the name of the file
    notes: Sequence[str] = ()


def _found(opened: Opened, between: object, stretches: int | None, data: str | None) -> _Found:
    """Return what to interpolate between."""
    from genlab.core.contract import HasPrior
    from genlab.core.device import device_of
    from genlab.data.read import read_images
    from genlab.runs.data import held_out_of

    count, title, notes = (stretches or DRAWN) + 1, None, []
    if between is not None:
        given = read_images(between, opened.spec.target)
        title, images, place = given.title, given.images, given.title
        count = stretches + 1 if stretches else min(max(len(images), 2), MOST + 1)
        notes = [f"rejected  {item.path}: {item.reason}" for item in given.rejected]
        if given.cropped:
            notes.append(f"not square, so only their centre squares are used: {given.cropped:,} images")
        if count < len(images):
            notes.append(f"between the first {count} of {len(images):,} images; --stretches takes more")
    elif isinstance(opened.model, HasPrior):
        return _Found(count)
    else:
        images, place = held_out_of(opened.folder, opened.step, data).x, "the held-out part"
    if len(images) < count:
        raise UsageError(f"{place} has {counted(len(images), 'image')}, but --stretches {count - 1} needs {count}")
    return _Found(count, images[:count].to(device_of(opened.model)), title, notes)
