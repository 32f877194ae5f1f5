"""Restores pictures one after the other, writes each under the name of its source, and measures it."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch

from genlab.applications.denoise_files import Truths, write_png
from genlab.applications.restore import Restorer, as_images
from genlab.applications.rows import Rows
from genlab.applications.sample import steps_shown
from genlab.applications.sheet import SHOWN, SIDE, middle, show
from genlab.core.pictures import Picture, resized, to_bytes, to_pillow
from genlab.data.dataset import Rejected
from genlab.data.decode import reason
from genlab.data.photos import Photo, Photos
from genlab.data.progress import bar
from genlab.metrics.restoration import MEASURES, border_of, likeness

SIZES = ("width", "height")
COMPARED = ("baseline", "restored")
COLUMNS = (*SIZES, *(f"{name}_{measure}" for name in COMPARED for measure in MEASURES))
MOST_PIXELS = 178_956_970  # of a restored picture: Pillow and programs that use it refuse to open larger ones


@dataclass(frozen=True)
class Task:
    """How pictures are restored.

    Args:
        by: what restores them.
        truth: the originals.
        into: a folder for the results.
    """

    by: Restorer
    truth: Truths | None
    into: Path


@dataclass
class Done:
    """What has been restored, besides the rows of the table."""

    rejected: list[Rejected] = field(default_factory=list)
    unmatched: list[Rejected] = field(default_factory=list)  # pictures without a fitting truth
    changed: list[Rejected] = field(default_factory=list)  # pictures of which a file holds more than was read
    other_colours: int = 0  # grey pictures for a model of colour ones, or the reverse
    replaced: int = 0  # pictures in colour for a model of grey ones that gives them colours


class Made(NamedTuple):
    """A picture, the results of it, its original if it is known, and else why there is none."""

    given: Picture
    restored: list[Picture]
    truth: Picture | None
    missing: str | None

    @property
    def scale(self) -> int:
        """How many times as long the sides have become."""
        return len(self.restored[0]) // len(self.given)


def restore_each(task: Task, given: Photos, rows: Rows, *, progress: bool) -> Done:
    """Restore all pictures except those that `rows` has, write each, and append its row.

    Raises:
        StorageError: the disk refused.
    """
    done = Done()
    with bar(progress) as shown:
        count = shown.add_task("restoring", total=given.count, completed=len(rows.names))
        for photo in _possible(given, set(rows.names), task.by, done):
            with steps_shown(task.by.model, shown, count, "restoring"):
                made = _made(task, photo)
            for file, picture in zip(files(photo.file, task.by.number), made.restored, strict=True):
                write_png(task.into / file, encoded(picture, photo))
            if (at := len(rows.names)) < SHOWN:
                show(rows, at, _middles(made))
            height, width, _ = photo.pixels.shape
            notes = {"changed": "; ".join(photo.changes), "unmatched": made.missing or ""}
            notes["other colours"] = "other" if made.given.shape[2] != task.by.channels else ""
            values = [width, height, *_measured(made)][: len(rows.columns)]
            notes["replaced"] = "colours" if task.by.replaces(photo.pixels) else ""
            noticed = {kind: note for kind, note in notes.items() if note}
            rows.add([photo.name], [None], np.array([values], np.float32), [noticed])
            shown.update(count, completed=len(rows.names) + len(done.rejected))
    done.changed, done.unmatched = rows.noted("changed"), rows.noted("unmatched")
    done.other_colours, done.replaced = len(rows.noted("other colours")), len(rows.noted("replaced"))
    return done


def _possible(given: Photos, known: set[str], by: Restorer, done: Done) -> Iterator[Photo]:
    """Yield the pictures that can be restored; all others are added to `done.rejected`."""
    for item in given.read(known):
        if isinstance(item, Rejected):
            done.rejected.append(item)
            continue
        height, width, _ = item.pixels.shape
        if why := by.refused(height, width):
            done.rejected.append(Rejected(item.name, why))
            continue
        if (pixels := by.scale**2 * height * width) <= MOST_PIXELS:
            yield item
            continue
        why = f"its result would have {pixels / 1e6:,.0f} megapixels, more than the {MOST_PIXELS / 1e6:.0f} that "
        done.rejected.append(Rejected(item.name, f"{why}programs open; cut the picture into parts"))


def _made(task: Task, photo: Photo) -> Made:
    restored = task.by.drawn(pixels := task.by.seen(_without_hidden(photo)), photo.name)
    found = _truth(task.truth, photo.name, restored[0], task.by.scale) if task.truth else None
    return Made(pixels, restored, *((None, found) if isinstance(found, str) else (found, None)))


def _without_hidden(photo: Photo) -> Picture:
    """Return the colours of a picture, with those of the nearest visible pixel where it is transparent.

    Colours that cannot be seen would spread into those that can.
    """
    from scipy.ndimage import distance_transform_edt  # takes a quarter of a second

    if photo.alpha is None or photo.alpha.all() or not photo.alpha.any():
        return photo.pixels
    rows, columns = distance_transform_edt(photo.alpha[..., 0] == 0, return_distances=False, return_indices=True)
    nearest: Picture = photo.pixels[rows, columns]
    return nearest


def _truth(truths: Truths, name: str, restored: Picture, scale: int) -> Picture | str:
    """Return the original of a restored picture, cut to a multiple of the scale; or why there is none."""
    height, width, channels = restored.shape
    try:
        found = replace(truths, channels=channels)[name]
    except Exception as error:  # for damaged files Pillow's plugins raise almost any type
        return f"its truth cannot be read: {reason(error)}"
    if found is None:
        return "there is no picture of this name in --truth"
    own = found.shape[1:]
    if not (0 <= own[0] - height < scale and 0 <= own[1] - width < scale):
        return f"its truth has {own[1]}x{own[0]} pixels, not {width}x{height}"
    cut: Picture = to_bytes(found[None, :, :height, :width])[0]
    return cut


def _measured(made: Made) -> Iterator[float]:
    """Yield the measures in the order of `COLUMNS`, NaN where there are none; of several results their means."""
    if made.truth is None:
        yield from [float("nan")] * (len(COLUMNS) - len(SIZES))
        return
    truth = as_images(made.truth)
    for pictures in ([resized(made.given, *made.truth.shape[:2])], made.restored):
        images = torch.cat([as_images(picture) for picture in pictures])
        found = likeness(images, truth.expand_as(images), border_of(made.scale))
        yield from (found[name].mean().item() if name in found else float("nan") for name in MEASURES)


def baseline_name(scale: int) -> str:
    """Return what the baseline is called: bicubic enlargement, or the picture as it was given."""
    return "bicubic" if scale > 1 else "given"


def _middles(made: Made) -> Mapping[str, Picture]:
    """Return the middle of a picture: by the baseline, restored, and in the original."""
    s, side = made.scale, SIDE // made.scale
    (top, height), (left, width) = ((max(0, n - side) // 2, min(n, side)) for n in made.given.shape[:2])
    part = made.given[top : top + height, left : left + width]
    pictures = {baseline_name(s): resized(part, s * height, s * width)}
    several = len(made.restored) > 1
    drawn = [(f"draw {at}" if several else "restored", each) for at, each in enumerate(made.restored, 1)]
    for name, whole in (*drawn, ("original", made.truth)):
        if whole is not None:
            pictures[name] = whole[s * top : s * (top + height), s * left : s * (left + width)]
    return {name: middle(picture) for name, picture in pictures.items()}


def encoded(restored: Picture, photo: Photo) -> bytes:
    """Return a restored picture as PNG, with the colour profile and the transparency of its source, enlarged."""
    from PIL import Image

    image = to_pillow(restored)
    if photo.alpha is not None:
        height, width = restored.shape[:2]
        image.putalpha(Image.fromarray(resized(photo.alpha, height, width)[..., 0]))
    stream = io.BytesIO()
    image.save(stream, "PNG", icc_profile=photo.profile)
    return stream.getvalue()


def files(file: str, number: int) -> list[str]:
    """Return the files of so many results of one picture: `a.png`, or `a-1.png`, `a-2.png` … of several."""
    path = PurePosixPath(file)
    return [file] if number == 1 else [str(path.with_stem(f"{path.stem}-{at + 1}")) for at in range(number)]


def protocol(channels: int, scale: int, number: int = 1) -> str:
    """Return in words how the measures of pictures with so many channels, and so many results each, are made."""
    colours = "Y of BT.601 (16 to 235) and RGB" if channels == 3 else "grey (0 to 255)"
    cut = f", without a border of {scale} pixels; originals cut to multiples of {scale}" if scale > 1 else ""
    means = f"; means over {number} results of each picture" if number > 1 else ""
    return f"{colours}, rounded to bytes{cut}; SSIM of the windows of 11 pixels that lie inside{means}"
