"""`genlab interpolate`: paths through the latent space of a model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, PathsName, RunName, SourceName
from genlab.verbs.result import Pictured, rejections, squashed
from genlab.verbs.using import Opened, open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture


DRAWN = 6  # rows between draws or held-out images, by default
MOST = 100  # rows between all images of a folder, by default


@dataclass(frozen=True, eq=False)
class Interpolated(Pictured):
    """Images along paths through latent space, and where they were written."""

    frames: "Tensor"  # (stretches, frames, C, H, W) in [-1, 1]
    path: Path  # the .png
    animation: Path  # the .gif
    target: "Modality"
    classes: Sequence[str] = ()  # of the stretches + 1 ends, if the model has classes
    notes: Sequence[str] = ()  # images that were not used
    styles: bool = False  # whether the paths are between styles

    @property
    def picture(self) -> "Picture":
        """A row of images for each pair of endpoints."""
        return self.target.draw(self.frames.flatten(0, 1), self.frames.shape[1])

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON, without the images."""
        return {
            "stretches": self.frames.shape[0],
            "frames": self.frames.shape[1],
            "classes": list(self.classes),
            "notes": list(self.notes),
            "path": str(self.path),
            "animation": str(self.animation),
        }

    def __repr__(self) -> str:
        return f"<Interpolated {tuple(self.frames.shape)} {self.path}>"

    def __str__(self) -> str:
        lines = [*self.notes, str(self.path), str(self.animation)]
        if self.classes:
            shown = ", ".join(self.classes)
            change = "" if self.styles else "; between two classes, the class changes half-way"
            lines.insert(0, f"classes of the ends: {shown}{change}")
        return "\n".join(lines)


@verb
def interpolate(
    run: RunName = "latest",
    *,
    between: PathsName = None,
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

    Models with a normal prior interpolate on great circles between draws from it, those with styles on straight
    lines between the styles of draws, autoencoders on straight lines between held-out images. Between pictures of
    your own, the ends are their reconstructions, or their projections if the model has no encoder (see genlab
    project). A model with classes decodes each end under its own class: that which it infers for a picture, or
    that of the picture's folder, and the classes in turn for draws. Between two classes, the class changes
    half-way; with styles it changes as they do.

    Args:
        between: Pictures to interpolate between, such as A.png B.png, a folder or a zip of them, or other data,
            such as digits, whose held-out part is taken. In Python also an array of images. They are squashed to
            the size of the model; nothing is cropped.
        stretches: Number of rows. By default as many as the images of --between allow, at most 100; without it 6.
        frames: Images per row.
        out: The .png to write; the .gif is written next to it. By default in the run folder.
        seed: Seed of the draws.

    Returns:
        The images (stretches, frames, *shape) and the paths that were written.

    Raises:
        UsageError: no such run, or too few images for the rows.
        GenlabError: the model cannot decode, or can neither encode nor project the images of `between`.
    """
    if stretches is not None and stretches < 1:
        raise UsageError(f"an interpolation needs --stretches 1 or more, not {stretches}")
    if frames < 2:
        raise UsageError(f"an interpolation needs --frames 2 or more, not {frames}")
    place = png_file(out)

    from genlab.applications.interpolate import ends_of
    from genlab.applications.interpolate import interpolate as walk
    from genlab.core.contract import HasStyles
    from genlab.core.files import replace
    from genlab.core.pictures import gif

    opened = open_run(os.fspath(run), root, checkpoint, device, data=data)
    found = _found(opened, between, stretches, data)
    ends = ends_of(opened.model, found.count, seed, found.images, found.labels)
    paths = walk(opened.model, ends, frames)
    notes = [*found.notes, *(_fidelity(opened, paths, found.images) if found.title else [])]
    paths = paths.cpu()
    place = place or opened.place("interpolations", found.title, f"{len(paths)}x{frames}", seed=seed)
    names = getattr(opened.spec.conditions.get("label"), "names", ())
    classes = [names[label] for label in ends.condition.get("label", ())]
    styles, animation = isinstance(opened.model, HasStyles), place.with_suffix(".gif")
    result = Interpolated(paths, place, animation, opened.spec.target, classes, notes, styles)
    write_png(place, result.picture)
    replace(result.animation, gif([opened.spec.target.draw(frame[None], 1) for frame in paths.flatten(0, 1)]))
    return result


def _fidelity(opened: Opened, paths: "Tensor", images: "Tensor | None") -> Sequence[str]:
    """Return how near the ends are to the user's pictures, as a note."""
    import torch

    from genlab.core.contract import Encodes
    from genlab.metrics.similarity import psnr

    if images is None or opened.spec.target.spatial != 2:
        return []
    ends = torch.cat([paths[:, 0], paths[-1:, -1]])
    how = "reconstructions" if isinstance(opened.model, Encodes) else "projections"
    return [f"the ends are {how} of the pictures, with a mean PSNR of {psnr(ends, images).mean():.1f} dB"]


@dataclass(frozen=True)
class _Found:
    count: int  # of the ends
    images: "Tensor | None" = None  # (count, C, H, W); None for draws from the prior
    labels: "Tensor | None" = None  # (count,) classes, −1 for those that are not known
    title: str | None = None  # in the name of the file
    notes: Sequence[str] = ()


def _found(opened: Opened, between: object, stretches: int | None, data: str | None) -> _Found:
    """Return what to interpolate between."""
    from genlab.core.contract import HasPrior
    from genlab.core.device import device_of
    from genlab.runs.data import held_out_of

    count = (stretches or DRAWN) + 1
    if between is None and isinstance(opened.model, HasPrior):
        return _Found(count)
    if between is None:
        batch, place = held_out_of(opened.folder, opened.step, data), "the held-out part"
        images, labels, title, notes = batch.x, batch.condition.get("label"), None, list[str]()
    else:
        images, labels, title, notes = _read(opened, between, stretches)
        place = title
        count = stretches + 1 if stretches else min(max(len(images), 2), MOST + 1)
    if len(images) < count:
        raise UsageError(f"{place} has {counted(len(images), 'image')}, but --stretches {count - 1} needs {count}")
    where = device_of(opened.model)
    found = None if labels is None else labels[:count].to(where)
    return _Found(count, images[:count].to(where), found, title, notes)


def _read(opened: Opened, between: object, stretches: int | None) -> "tuple[Tensor, Tensor, str, list[str]]":
    """Return the pictures to interpolate between, their classes, a title, and notes on what was done to them."""
    from itertools import chain, islice

    from genlab.applications.project_files import labels_of
    from genlab.data.dataset import Rejected
    from genlab.data.originals import Original, originals, squashed_of, stacked
    from genlab.data.read import unreadable

    several = isinstance(between, list | tuple) and all(isinstance(each, str | os.PathLike) for each in between)
    places: Sequence[object] = between if several else [between]  # type: ignore[assignment]
    most, total, examples = (stretches or MOST) + 1, 0, list[Original]()
    titles, rejected = list[str](), list[Rejected]()
    for place in places:
        with originals(place, opened.spec.target) as given:
            examples += list(islice(chain.from_iterable(given.chunks(rejected)), most - len(examples)))
            titles.append(given.title)
            total += given.count
    if not examples:
        raise unreadable(Path(str(places[0])), rejected)
    notes = rejections(rejected)
    shape = opened.spec.target.shape
    notes += squashed(squashed_of([each.size for each in examples], shape), shape)
    if len(examples) == most < total:
        notes.append(f"between the first {most} of {total:,} images; --stretches takes more")
    return stacked(examples), labels_of(examples, opened.spec.class_names), "-".join(titles), notes
