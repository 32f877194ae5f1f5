"""`genlab inpaint`: pictures whose holes are filled."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, ImagesName, RunName
from genlab.verbs.output import place_for, refuse_inside
from genlab.verbs.repainting import set_up
from genlab.verbs.result import InFolder, reasons, rejections
from genlab.verbs.using import open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import nn

    from genlab.applications.inpaint_files import Done, Masks
    from genlab.core.modality import Modality
    from genlab.core.pictures import Picture

MOST_LINES = 100  # of notes; --json lists all


@dataclass(frozen=True, eq=False)
class Inpainted(InFolder):
    """Pictures whose holes were filled, and where they were written."""

    path: Path  # a folder with a PNG for each fill; beside it are a .csv and a .png of the same name
    count: int  # of pictures
    number: int  # of fills for each
    means: Mapping[str, float]  # of the columns of the table
    reduced: int  # pictures that were filled at a reduced size
    done: "Done"
    picture: "Picture | None"  # the first pictures: with the hole, by harmonic filling, filled

    def values(self) -> dict[str, Any]:
        """Return the results as plain values for JSON."""
        return {
            "pictures": self.count,
            "number": self.number,
            "missing": self.means.get("missing"),
            "reduced": self.reduced,
            "rejected": reasons(self.done.rejected),
            "changed": reasons(self.done.changed),
            "noticed": reasons(self.done.noticed),
            "path": str(self.path),
            "table": str(self.table_path),
            "picture": str(self.picture_path),
        }

    def __repr__(self) -> str:
        return f"<Inpainted {counted(self.count, 'picture')} {self.path}>"

    def __str__(self) -> str:
        notes = [f"changed  {item.path}: {item.reason}" for item in self.done.changed]
        notes += [f"note  {item.path}: {item.reason}" for item in self.done.noticed]
        more = len(notes) - MOST_LINES
        each = f", {self.number} fills each" if self.number > 1 else ""
        return "\n".join(
            [
                *rejections(self.done.rejected),
                *notes[:MOST_LINES],
                *([f"… and {counted(more, 'more note')}; --json lists all"] if more > 0 else []),
                *self._reduced(),
                f"{counted(self.count, 'picture')} filled{each}: {self.means['missing']:.1%} missing on average",
                *map(str, (self.path, self.table_path, *([] if self.picture is None else [self.picture_path]))),
            ]
        )

    def _reduced(self) -> Sequence[str]:
        if not self.reduced:
            return []
        return [
            "holes too large for the model's pictures, filled at a reduced size and so blurred: "
            f"{counted(self.reduced, 'picture')}; the .csv says by what number the sides were divided"
        ]


@verb
def inpaint(
    run: RunName,
    pictures: ImagesName,
    *,
    mask: File | None = None,
    box: str | tuple[int, int, int, int] | None = None,
    invert: bool = False,
    number: int = 1,
    jump_length: int | None = None,
    resampling: int | None = None,
    seed: int = 0,
    out: File | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Inpainted:
    """Fill the holes of pictures of any size: a folder of PNGs with the names and sizes of their sources.

    Known pixels come back exactly. It takes a model that was trained to fill holes, such as gated-inpainting, or
    any diffusion model of pictures, by RePaint. Larger holes than the model has learned are filled at a reduced
    size. Transparency and colour profiles are kept; of an animation only the first frame is taken. A command that
    was killed goes on where it was if it is given again.

    Args:
        pictures: A picture, or a folder or zip of pictures, or the name of data of your own, whose held-out images
            are taken. In Python also an array of images.
        mask: A picture that is white where pixels are missing, for all pictures; or a folder of masks with the
            names of the pictures, whose suffixes may differ. They have the sizes of the pictures.
        box: Instead of a mask: left, top, width and height of the hole in pixels, such as 20,30,64,64. In Python
            also a tuple.
        invert: Whether masks are black where pixels are missing.
        number: Different fills of each picture; more than one only with a diffusion model.
        jump_length: With a diffusion model: steps that RePaint undoes at once, by default 10.
        resampling: With a diffusion model: how often RePaint takes each step, by default 10; lower it if that
            takes too long, raise it if fills do not fit their surroundings.
        seed: Seed of the fills of a diffusion model; what is drawn depends only on the seed and the name of the
            picture.
        out: The folder to write; a .csv and a .png of the same name are written next to it. By default in the run
            folder.

    Returns:
        How much was missing, and the paths that were written; `table` reads the row of each picture.

    Raises:
        UsageError: no such run or path, neither or both of a mask and a box, several fills of a model that is not
            random, or an `out` that is a file or a folder with files.
        GenlabError: the model does not fill holes.
    """
    from genlab.applications.denoise_files import means
    from genlab.applications.inpaint import ByModel
    from genlab.applications.inpaint_files import COLUMNS, inpaint_each
    from genlab.applications.rows import rows
    from genlab.applications.sheet import sheet
    from genlab.data.photos import photos_of
    from genlab.data.read import unreadable

    refuse_inside(out, "--out", pictures, mask)
    opened = open_run(os.fspath(run), root, checkpoint, device)
    target = opened.spec.target
    if target.spatial != 2:
        raise UsageError(f"genlab inpaint is for pictures, but this model makes {target.noun}.")
    box = box if box is None or isinstance(box, str) else _words(box)
    by = ByModel(opened.model, (target.shape[0], target.shape[1], target.shape[2]), number, seed)
    set_up(opened.model, number, jump_length, resampling)
    _refuse_equal_fills(opened.model, number)
    where = _holes(mask, box, target, invert=invert)
    with photos_of(pictures, target) as given:
        hidden = Path(mask).stem if mask is not None else str(box).replace(",", "-")
        words = {"mask": hidden, "number": number if number > 1 else None, "seed": seed or None}
        words |= {"invert": invert or None, "jump_length": jump_length, "resampling": resampling}
        place = place_for(out, opened.place("inpainted", given.title, **words))
        request = {"verb": "inpaint", "weights": opened.weights, "data": given.stamp, "box": box, **words}
        request |= {"mask": where.listing.digest() if where.listing else None}
        with rows(place.with_name(f"{place.name}.csv"), COLUMNS, request) as written:
            done = inpaint_each(by, where, place, given, written, progress=True)
            if not written.names:
                raise unreadable(pictures, done.rejected, done="filled")
            found, reduced = means(written), int((written.values[:, 1] > 1).sum())
            count, picture = len(written.names), sheet(written)
            written.finish()
    result = Inpainted(place, count, number, found, reduced, done, picture)
    if result.picture is not None:
        write_png(result.picture_path, result.picture)
    return result


def _refuse_equal_fills(model: "nn.Module", number: int) -> None:
    """Refuse several fills of a model that has one for each hole."""
    from genlab.applications.capability import need
    from genlab.core.contract import Inpaints

    if number > 1 and not need(model, Inpaints, "genlab inpaint").inpaints_at_random:
        raise UsageError(
            f"this model has one fill for each hole, so --number {number} would write it {number} times. Leave it "
            "out, or use a diffusion model."
        )


def _words(box: object) -> str:
    """Return a box that was given in Python as it is typed."""
    return ",".join(map(str, box)) if isinstance(box, tuple | list) else str(box)


def _holes(mask: File | None, box: str | None, target: "Modality", *, invert: bool) -> "Masks":
    """Return where pictures have holes.

    Raises:
        UsageError: neither or both of a mask and a box, or a box that is none.
    """
    from genlab.applications.inpaint_files import Masks, masks

    if (mask is None) == (box is None):
        both = "" if mask is None else f"--mask {mask} and --box {box} exclude each other; "
        raise UsageError(
            f"{both}say what is missing by --mask, a picture that is white there, or --box LEFT,TOP,WIDTH,HEIGHT."
        )
    if mask is not None:
        return masks(Path(mask), target, invert=invert)
    if invert:
        raise UsageError("--invert is for masks. Leave it out, or give a --mask.")
    try:
        left, top, width, height = map(int, str(box).split(","))
    except ValueError:
        left, top, width, height = -1, 0, 0, 0
    if min(left, top) < 0 or min(width, height) < 1:
        raise UsageError(f"--box {box} must be LEFT,TOP,WIDTH,HEIGHT in pixels, such as --box 20,30,64,64.")
    return Masks((left, top, width, height))
