"""`genlab reconstruct`: images, encoded and decoded by a model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.using import open_run, png_file, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """Images with their reconstructions, and where they were written."""

    names: Sequence[str]
    originals: "Tensor"  # (B, C, H, W) in [-1, 1]
    reconstructions: "Tensor"  # (B, C, H, W) in [-1, 1]
    errors: "Tensor"  # (B,), mean squared error per pixel
    rejected: Sequence["Rejected"]  # files that are no images
    path: Path
    target: "Modality"

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
            "rejected": {item.path: item.reason for item in self.rejected},
            "path": str(self.path),
        }

    def __repr__(self) -> str:
        return f"<Reconstructed {tuple(self.originals.shape)} {self.path}>"

    def __str__(self) -> str:
        errors = zip(self.names, self.errors.tolist(), strict=True)
        mean = f"mean squared error per pixel in [-1, 1]: {self.errors.mean():.5f}; images: {len(self.names)}"
        return "\n".join(
            [
                *(f"{error:.5f}  {name}" for name, error in errors),
                *(f"rejected  {item.path}: {item.reason}" for item in self.rejected),
                mean,
                str(self.path),
            ]
        )

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.picture)


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
    """Encode and decode images: a PNG in which each row of images is above the row of their reconstructions.

    Args:
        path: An image or a folder of images, or the name of data of your own, whose held-out images are taken. In
            Python also an array of images.
        draw: Decode a draw from each image's posterior instead of its mean.
        seed: Seed of the draws.
        out: The .png to write. By default in the run folder.

    Returns:
        The images, their reconstructions and errors, and the path that was written.

    Raises:
        UsageError: no such run or path, or an `out` that is no .png.
        GenlabError: the model cannot reconstruct, or has no posterior to draw from.
    """
    place = png_file(out)

    from genlab.applications.reconstruct import reconstruct as send
    from genlab.core.device import device_of
    from genlab.data.read import read_images

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    given = read_images(path, target)
    again, errors = send(opened.model, given.images.to(device_of(opened.model)), seed if draw else None)
    place = place or opened.place("reconstructions", given.title, seed=seed if draw else None)
    result = Reconstructed(given.names, given.images, again.cpu(), errors.cpu(), given.rejected, place, target)
    write_png(place, result.picture)
    return result
