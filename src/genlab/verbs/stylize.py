"""`genlab stylize`: pictures in the style of another picture."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import GenlabError, UsageError
from genlab.core.text import counted
from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.output import output_of, refuse_inside, refuse_source
from genlab.verbs.result import reasons, rejections
from genlab.verbs.using import Opened, open_run, write_png
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.applications.stylize import ByOptimising, Stylizer
    from genlab.applications.stylize_files import Done
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected
    from genlab.data.listing import Listing

LARGE, LARGE_OPTIMISED = 1024, 512  # longer sides at which pictures are stylized by default, at most
MOST_LINES = 100  # of losses; the result has all of them


@dataclass(frozen=True, eq=False)
class Stylized:
    """Pictures in another style, and where they were written."""

    names: Sequence[str]  # of the contents
    pictures: Sequence["Picture"]  # (H, W, C) bytes, in the sizes of the contents; of a folder only the first 64
    rejected: Sequence["Rejected"]  # files that are no pictures
    path: Path  # a .png, or a folder with a PNG for each content
    side: int  # the longer side at which larger contents were stylized
    reduced: int = 0  # contents that were larger
    losses: Sequence[tuple[float, float]] = ()  # the first and the last of each content, if pixels were optimised

    def values(self) -> dict[str, Any]:
        """Return what was done as plain values for JSON."""
        return {
            "names": list(self.names),
            "rejected": reasons(self.rejected),
            "side": self.side,
            "reduced": self.reduced,
            "losses": [list(pair) for pair in self.losses],
            "path": str(self.path),
        }

    def __repr__(self) -> str:
        return f"<Stylized {counted(len(self.names), 'picture')} {self.path}>"

    def __str__(self) -> str:
        larger = (
            f"stylized at {self.side} pixels on the longer side and enlarged again: "
            f"{counted(self.reduced, 'picture')}; choose with --size"
        )
        optimised = list(zip(self.names, self.losses, strict=False))[:MOST_LINES]
        return "\n".join(
            [
                *rejections(self.rejected),
                *(f"loss {first:.4g} to {last:.4g}  {name}" for name, (first, last) in optimised),
                *([larger] if self.reduced else []),
                f"{counted(len(self.names), 'picture')} stylized",
                str(self.path),
            ]
        )

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.pictures[0])


@verb
def stylize(
    content: File,
    *,
    style: File,
    alpha: float | None = None,
    iterations: int | None = None,
    vgg: File | None = None,
    size: int | None = None,
    out: File | None = None,
    run: RunName | None = None,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "auto",
    root: File = RUNS,
) -> Stylized:
    """Give pictures the style of another: by a model of the preset style-transfer, or by optimising their pixels.

    The results are PNGs with the names and sizes of the contents; of an animation only the first frame is taken. A
    folder that a killed command has begun is completed by the same command.

    Args:
        content: A picture or a folder of pictures.
        style: The picture whose style they take.
        alpha: Strength of the style, from 0 for none to 1. By default as in the run, and 1 with --iterations.
        iterations: Optimise the pixels for so many steps, about 300, instead of using a run.
        vgg: File with the weights of VGG-19 that torchvision publishes, for --iterations. By default
            EfficientNet-Lite0 is used.
        size: The longer side in pixels at which larger pictures are stylized; lower it if memory or time run out.
            By default 1024, and 512 with --iterations.
        out: The .png to write, or a folder. By default in the run folder, and with --iterations in this folder.
        run: A run of style-transfer, by its folder or name; by default the latest run.

    Returns:
        The stylized pictures, and the path that was written.

    Raises:
        UsageError: no such run or picture, options that exclude each other, or an `out` that is another picture or
            a folder with files.
        GenlabError: the model cannot stylize.
    """
    single, into = output_of(out)
    refuse_source(single, content, style)
    refuse_inside(into, "--out", content)
    _refuse(alpha, iterations, vgg, size, {"run": run, "checkpoint": checkpoint})

    from genlab.applications.stylize import ByModel
    from genlab.applications.stylize_files import read_style
    from genlab.data.read import unreadable

    side = size or (LARGE if iterations is None else LARGE_OPTIMISED)
    contents, looks = _listed(Path(content)), _listed(Path(style))
    _refuse_folders(content, style, single)
    stem, words = Path(content).stem or "pictures", {"style": Path(style).stem, "alpha": alpha, "size": size}
    stylizer: Stylizer
    request = {"alpha": alpha, "side": side, "iterations": iterations, "vgg": None if vgg is None else str(vgg)}
    if iterations is None:
        opened = _opened(run, root, checkpoint, device)
        stylizer, channels = ByModel(opened.model, alpha), opened.spec.target.shape[0]
        place, request["weights"] = opened.place("stylized", stem, **words), opened.weights
    else:
        stylizer, channels = _optimising(iterations, vgg, device, alpha), 3
        place = _here(stem, {**words, "iterations": iterations})
    into = into or (place.with_suffix("") if Path(content).is_dir() else None)
    done = _stylized(stylizer, contents, read_style(looks, side, channels), side, channels, into, request)
    if not done.names:
        raise unreadable(Path(content), done.rejected)
    path = into or single or place
    if not into:
        write_png(path, done.pictures[0])
    return Stylized(done.names, done.pictures, done.rejected, path, side, done.reduced, done.losses)


def _stylized(
    stylizer: "Stylizer",
    contents: "Listing",
    style: "Tensor",
    side: int,
    channels: int,
    into: Path | None,
    request: Mapping[str, Any],
) -> "Done":
    """Stylize pictures, and write each into the folder `into`, if there is one."""
    from genlab.applications.picture_folder import filling
    from genlab.applications.stylize_files import COLUMNS, stylize_each

    if into is None:
        return stylize_each(stylizer, contents, style, side, channels, None, None)
    look = hashlib.sha256(style.numpy().tobytes()).hexdigest()
    given = {"verb": "stylize", "data": contents.digest(), "style": look, **request}
    with filling(into, COLUMNS, given) as rows:
        return stylize_each(stylizer, contents, style, side, channels, into, rows)


def _refuse(
    alpha: float | None, iterations: int | None, vgg: File | None, size: int | None, of_run: dict[str, Any]
) -> None:
    """Refuse values out of range, and options that have no effect."""
    if alpha is not None and not 0 <= alpha <= 1:
        raise UsageError(f"--alpha must be from 0, no style, to 1, all of it, not {alpha:g}.")
    if iterations is not None and iterations < 1:
        raise UsageError(f"--iterations must be 1 or more, not {iterations}. Try 300.")
    if size is not None and size < 1:
        raise UsageError(f"--size must be 1 pixel or more, not {size}. Try 512.")
    if iterations is None and vgg is not None:
        raise UsageError(f"--vgg {vgg} is for --iterations; a run has the network of its training. Leave it out.")
    for name, value in of_run.items():
        if iterations is not None and value is not None:
            raise UsageError(
                f"--{name} {value} has no effect with --iterations, which uses no run. Leave one out."
            )


def _refuse_folders(content: File, style: File, out: Path | None) -> None:
    """Refuse a folder of styles, and one picture `out` for a folder of contents."""
    if Path(style).is_dir():
        raise UsageError(f"the style {style} is a folder. Choose one picture in it.")
    if out and Path(content).is_dir():
        raise UsageError(f"--out {out} is one picture, but {content} is a folder. Give a folder: --out FOLDER.")


def _listed(path: Path) -> "Listing":
    from genlab.core.modality import Images
    from genlab.data.read import list_pictures, unreadable

    listing = list_pictures(path, Images(3, 1, 1))
    if not listing.entries:
        raise unreadable(path, listing.rejected)
    return listing


def _opened(run: RunName | None, root: File, checkpoint: CheckpointName | None, device: str) -> Opened:
    """Return a run that stylizes, by default the latest."""
    from genlab.applications.stylize import stylizing

    try:
        opened = open_run(os.fspath(run or "latest"), root, checkpoint, device)
    except UsageError as error:
        raise UsageError(f"{error} --iterations 300 needs none: it optimises the pixels.") from None
    try:
        stylizing(opened.model)
    except GenlabError as error:
        name = opened.folder.path.name
        raise GenlabError(
            f"{error} {name} is another run: give one by --run, or --iterations 300, which needs none."
        ) from None
    return opened


def _optimising(iterations: int, vgg: File | None, device: str, alpha: float | None) -> "ByOptimising":
    """Return what optimises pixels for the features of EfficientNet-Lite0, or of the VGG-19 in a file."""
    from genlab.applications.stylize import ByOptimising
    from genlab.core.device import find_device
    from genlab.metrics.extractors.taps import EFFICIENTNET, VGG, taps

    where = find_device(device)
    network = taps(VGG, os.fspath(vgg)) if vgg else taps(EFFICIENTNET)
    return ByOptimising(network.to(where), where, iterations, 1.0 if alpha is None else alpha)


def _here(stem: str, words: dict[str, Any]) -> Path:
    """Return a .png in this folder, named after all options, so that others do not overwrite it."""
    given = [f"{name}-{value}" for name, value in words.items() if value is not None]
    return Path("-".join([stem, *given]) + ".png")
