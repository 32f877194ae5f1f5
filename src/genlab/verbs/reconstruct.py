"""`genlab reconstruct`: images, encoded and decoded by a model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.output import output_of, refuse_inside, refuse_source, refuse_too_many
from genlab.verbs.result import Pictured, in_pixels, reasons, rejections, squashed
from genlab.verbs.using import Opened, open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.reconstruct_files import Done
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected
    from genlab.data.originals import Originals

MOST_LINES = 100  # of errors; the result has all of them


@dataclass(frozen=True, eq=False)
class Reconstructed(Pictured):
    """Images with their reconstructions, and where they were written."""

    names: Sequence[str]
    originals: "Tensor"  # (B, C, H, W) in [-1, 1], as the model got them; of a folder only the first 64
    reconstructions: "Tensor"  # (B, C, H, W) in [-1, 1], as the model returned them; of a folder only the first 64
    errors: "Tensor"  # of all images, mean squared error per pixel
    rejected: Sequence["Rejected"]  # files that are no images
    path: Path  # a .png, or a folder with a PNG for each image
    target: "Modality"
    squashed: int = 0  # images that were squashed to the shape of the model

    @property
    def picture(self) -> "Picture":
        """The images in rows, each above the row of its reconstructions."""
        from genlab.training.preview import side_by_side

        return side_by_side(self.target, self.originals, self.reconstructions)

    def values(self) -> dict[str, Any]:
        """Return the errors as plain values for JSON."""
        return {
            "mean_squared_error": self.errors.mean().item(),
            "errors": dict(zip(self.names, self.errors.tolist(), strict=True)),
            "rejected": reasons(self.rejected),
            "squashed": self.squashed,
            "path": str(self.path),
        }

    def __repr__(self) -> str:
        return f"<Reconstructed {(len(self.names), *self.target.shape)} {self.path}>"

    def __str__(self) -> str:
        errors = zip(self.names[:MOST_LINES], self.errors.tolist(), strict=False)
        more = len(self.names) - MOST_LINES
        what, noun = (
            ("per pixel in [-1, 1]", "images") if self.target.spatial else ("of entries", self.target.noun)
        )
        each = f"more {noun.removesuffix('s')}"
        mean = f"mean squared error {what}: {self.errors.mean():.5f}; {noun}: {len(self.names)}"
        return "\n".join(
            [
                *(f"{error:.5f}  {name}" for name, error in errors),
                *([f"… and {counted(more, each)}; --json lists all"] if more > 0 else []),
                *rejections(self.rejected),
                mean,
                *self._sizes(),
                str(self.path),
            ]
        )

    def _sizes(self) -> Sequence[str]:
        """Return what was done to the sizes of the images."""
        if self.target.spatial != 2:
            return ()
        shape = self.target.shape
        singly = f"reconstructed at the model's {in_pixels(shape)} and written in their original sizes"
        return [*squashed(self.squashed, shape), *([] if self.path.suffix.lower() == ".png" else [singly])]


@verb
def reconstruct(
    run: RunName,
    path: ImagesName,
    *,
    draw: bool = False,
    seed: int = 0,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Reconstructed:
    """Encode and decode images: a PNG with each row of images above their reconstructions, or a folder of PNGs.

    Images are resized to the size of the model without cropping; the PNGs in a folder have the names and sizes of
    their sources. A folder that a killed command has begun is completed by the same command.

    Args:
        draw: Decode a draw from each image's posterior instead of its mean.
        seed: Seed of the draws; a draw depends only on the seed and the position of its image.
        out: The .png to write, a folder for single reconstructions, or of a table a .csv. By default a .png in the
            run folder.

    Returns:
        The images, their reconstructions and errors, and the path that was written.

    Raises:
        UsageError: no such run or path, an `out` that is another picture or a folder with files, or too many
            images for one picture.
        GenlabError: the model cannot reconstruct, or has no posterior to draw from.
    """
    rows = Path(out) if out is not None and Path(out).suffix.lower() == ".csv" else None
    png, into = output_of(None if rows else out)
    refuse_source(rows or png, path)
    refuse_inside(into, "--out", path)

    import torch

    from genlab.applications.picture_folder import refuse_finished
    from genlab.applications.reconstruct_files import write_rows
    from genlab.core.table import Table
    from genlab.data.originals import originals
    from genlab.data.read import unreadable

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    if into and target.spatial != 2:
        raise UsageError(
            f"--out {into} would be a folder of images, but this model makes {target.noun}. Give a .png."
        )
    if rows and not isinstance(target, Table):
        raise UsageError(f"--out {rows} is for rows of a table, but this model makes {target.noun}. Give a .png.")
    if into:
        refuse_finished(into)
    with originals(path, target) as given:
        if not (into or rows):
            refuse_too_many(given.count, target.shape, target.noun, rows=2)
        done = _reconstructed(opened, given, seed if draw else None, into)
    if not done.names:
        raise unreadable(path, done.rejected)
    path = png or into or rows or opened.place("reconstructions", given.title, seed=seed if draw else None)
    x, again = (torch.cat(parts) for parts in zip(*done.pairs, strict=True))
    errors = torch.tensor(done.errors)
    result = Reconstructed(done.names, x, again, errors, done.rejected, path, target, done.squashed)
    if rows and isinstance(target, Table):
        write_rows(rows, target, done)
    elif not into:
        write_png(path, result.picture)
    return result


def _reconstructed(opened: Opened, given: "Originals", seed: int | None, into: Path | None) -> "Done":
    """Reconstruct examples, and write each into the folder `into`, if there is one."""
    from genlab.applications.picture_folder import filling
    from genlab.applications.reconstruct_files import COLUMNS, reconstruct_each, reconstruct_into

    if into is None:
        return reconstruct_each(opened.model, given, seed, progress=True)
    request = {"verb": "reconstruct", "weights": opened.weights, "data": given.stamp, "seed": seed}
    with filling(into, COLUMNS, request) as rows:
        return reconstruct_into(into, rows, opened.model, given, seed, progress=True)
