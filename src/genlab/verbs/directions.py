"""`genlab directions`: directions of styles along which the images of a model change."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.output import refuse_too_many, table_file
from genlab.verbs.result import Pictured
from genlab.verbs.using import open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.pictures import Picture

STRENGTHS = (-3.0, -1.5, 0.0, 1.5, 3.0)  # in deviations


@dataclass(frozen=True, eq=False)
class Directed(Pictured):
    """Directions, an image that is moved along them, and where they were written."""

    names: Sequence[str]
    shares: Sequence[float]  # of the variance of styles that is along them
    frames: "Tensor"  # (directions, strengths, C, H, W)
    path: Path  # the .csv or .npz
    picture_path: Path

    @property
    def picture(self) -> "Picture":
        """A row for each direction, below its name."""
        from genlab.core.pictures import image_grid, stacked

        wide = self.frames.shape[1]
        rows = zip(self.names, self.frames, strict=True)
        return stacked([image_grid(frames, wide, [name] * wide) for name, frames in rows])

    def values(self) -> dict[str, Any]:
        """Return the result as plain values for JSON, without the directions."""
        shares = dict(zip(self.names, self.shares, strict=True))
        return {"variance": shares, "path": str(self.path), "picture": str(self.picture_path)}

    def __repr__(self) -> str:
        return f"<Directed {counted(len(self.names), 'direction')} {self.path}>"

    def __str__(self) -> str:
        shares = (f"{share:.1%}  {name}" for name, share in zip(self.names, self.shares, strict=True))
        return "\n".join(["variance of the styles along:", *shares, str(self.path), str(self.picture_path)])


@verb
def directions(
    run: RunName = "latest",
    *,
    number: int = 5,
    out: File | None = None,
    seed: int = 0,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Directed:
    """Find directions of styles along which a model's images change, without examples of what changes.

    ganspace are the principal directions of the styles, sefa those along which the layers' weights react most,
    random ones show what any direction does. Look at the picture to see what they mean, and use them with genlab
    edit --space w --towards FILE:ganspace-1.

    Args:
        number: Directions of each method.
        out: The .csv or .npz to write; a .png with an image that is moved from −3 to 3 deviations is written next
            to it. By default a .npz in the run folder.
        seed: Seed of the image that is moved.

    Returns:
        The names, the share of the variance along each direction, the moved images and the paths.

    Raises:
        UsageError: no such run, or too many directions.
        GenlabError: the model has no styles.
    """
    if number < 1:
        raise UsageError(f"--number must be at least 1, not {number}")

    from genlab.applications.directions import METHODS, strips
    from genlab.applications.directions import directions as find
    from genlab.applications.rows import rows

    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    refuse_too_many(len(METHODS) * number, target.shape, target.noun, rows=len(STRENGTHS))
    found = find(opened.model, number)
    table = table_file(out, opened.place("directions", number, seed=seed).with_suffix(".npz"))
    request = {"verb": "directions", "weights": opened.weights}
    with rows(table, [f"w{at}" for at in range(found.vectors.shape[1])], request) as written:
        missing = slice(len(written.names), None)
        written.add(found.names[missing], [None] * len(found.names[missing]), found.vectors[missing].cpu().numpy())
        written.finish()
    frames = strips(opened.model, found, seed, STRENGTHS)
    result = Directed(found.names, found.shares, frames, table, table.with_suffix(".png"))
    write_png(result.picture_path, result.picture)
    return result
