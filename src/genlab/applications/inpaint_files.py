"""Fills the holes of pictures one after the other, and writes each under the name of its source."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from genlab.applications.denoise_files import write_png
from genlab.applications.inpaint import ByModel, Filled
from genlab.applications.restore_files import encoded, files
from genlab.applications.rows import Rows
from genlab.applications.sample import steps_shown
from genlab.applications.sheet import SHOWN, middle, show
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.pictures import Picture
from genlab.core.text import printable
from genlab.data.dataset import Rejected
from genlab.data.decode import reason, strict
from genlab.data.holes import INVERTED, black_or_white
from genlab.data.listing import Listing
from genlab.data.masks import read_mask
from genlab.data.photos import Photo, Photos
from genlab.data.progress import bar
from genlab.data.read import list_pictures
from genlab.metrics.holes import Mask

COLUMNS = ("missing", "reduced", "windows")  # share of the pixels, by what the sides were divided, parts
HIDDEN = 128  # the grey of a hole in pictures of the results


class Hole(NamedTuple):
    """The hole of a picture, and what was noticed about its mask."""

    missing: Mask
    notes: list[str]


@dataclass(frozen=True)
class Masks:
    """Where pictures have holes: in a box, or where a mask is white.

    Args:
        box: left, top, width and height in pixels; None for masks.
        listing: the masks.
        places: their positions by their relative paths without suffix; none if there is one mask for all pictures.
        invert: whether masks are white where pictures are known.
    """

    box: tuple[int, int, int, int] | None = None
    listing: Listing | None = None
    places: Mapping[str, int] = field(default_factory=dict)
    invert: bool = False

    def __call__(self, photo: Photo) -> Hole | str:
        """Return the hole of a picture; or why there is none."""
        height, width = photo.pixels.shape[:2]
        found = self._boxed(height, width) if self.listing is None else self._read(photo.name, height, width)
        if isinstance(found, str):
            return found
        if found.missing.all() and self.box is not None:
            return f"--box {_words(self.box)} covers all of its {width}x{height} pixels, so nothing is known"
        if found.missing.all() or not found.missing.any():
            empty = "nothing is known" if found.missing.all() else "nothing is missing"
            white = "white everywhere" if found.missing.all() != self.invert else "nowhere white"
            turn = "leave out --invert" if self.invert else "--invert exchanges black and white"
            return "; ".join([f"its mask is {white}, so {empty}", *found.notes, turn])
        share = found.missing.mean()
        if share > INVERTED and not self.invert and self.box is None:
            found.notes.append(
                f"its mask says that {share:.0%} is missing; if white is what is known, add --invert"
            )
        return found

    def _boxed(self, height: int, width: int) -> Hole | str:
        assert self.box is not None
        left, top, across, down = self.box
        if left + across > width or top + down > height:
            return f"--box {_words(self.box)} does not lie within its {width}x{height} pixels"
        missing = np.zeros((height, width), np.bool_)
        missing[top : top + down, left : left + across] = True
        return Hole(missing, [])

    def _read(self, name: str, height: int, width: int) -> Hole | str:
        assert self.listing is not None
        at = self.places.get(_stem(name)) if self.places else 0
        if at is None:
            return "there is no mask of this name in --mask"
        try:
            with strict(), self.listing.open(at) as file:
                grey, clear = read_mask(file)
        except Exception as error:  # for damaged files Pillow's plugins raise almost any type
            return f"its mask cannot be read: {reason(error)}"
        if grey.shape != (height, width):
            return f"its mask has {grey.shape[1]}x{grey.shape[0]} pixels, not {width}x{height}"
        missing, binary = black_or_white(grey)
        notes = [] if binary else ["its mask is not black and white: what is lighter than half counts as white"]
        notes += ["parts of its mask are transparent, which count as black"] if clear else []
        return Hole(missing != self.invert, notes)


def masks(path: Path, modality: Modality, *, invert: bool) -> Masks:
    """Return the masks at `path`: one for all pictures, or a folder with one for each.

    Raises:
        UsageError: there is nothing at the path, or two masks have one name.
    """
    listing = list_pictures(path, modality, "--mask ")
    if not listing.entries:
        raise UsageError(f"--mask {path} has no pictures. Give a mask that is white where a picture is missing.")
    names = [printable(entry.path) for entry in listing.entries]
    places = {_stem(name): at for at, name in enumerate(names)}
    if len(places) < len(names):
        twice = next(name for at, name in enumerate(names) if places[_stem(name)] != at)
        raise UsageError(f"two masks in {path} are called {_stem(twice)}. Keep one of them.")
    return Masks(None, listing, places if path.is_dir() else {}, invert)


def _words(box: tuple[int, ...]) -> str:
    return ",".join(map(str, box))


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


@dataclass
class Done:
    """What has been filled, besides the rows of the table."""

    rejected: list[Rejected] = field(default_factory=list)
    changed: list[Rejected] = field(default_factory=list)  # pictures of which a file holds more than was read
    noticed: list[Rejected] = field(default_factory=list)  # of masks


def inpaint_each(by: ByModel, where: Masks, into: Path, given: Photos, rows: Rows, *, progress: bool) -> Done:
    """Fill all pictures except those that `rows` has, write each, and append its row.

    Raises:
        StorageError: the disk refused.
    """
    done = Done()
    with bar(progress) as shown:
        count = shown.add_task("filling holes", total=given.count, completed=len(rows.names))
        for item in given.read(set(rows.names)):
            hole = item.reason if isinstance(item, Rejected) else where(item)
            if isinstance(item, Rejected) or isinstance(hole, str):
                name = item.path if isinstance(item, Rejected) else item.name
                done.rejected.append(Rejected(name, str(hole)))
                continue
            with steps_shown(by.model, shown, count, "filling holes"):
                filled = by(item.pixels, hole.missing, item.name)
            for file, picture in zip(files(item.file, by.number), filled.pictures, strict=True):
                write_png(into / file, encoded(picture, item))
            if (at := len(rows.names)) < SHOWN:
                show(rows, at, dict(_row(item.pixels, hole.missing, filled)))
            notes = {"changed": "; ".join(item.changes), "noticed": "; ".join(hole.notes)}
            noticed = {kind: note for kind, note in notes.items() if note}
            values = [hole.missing.mean(), filled.reduced, filled.windows]
            rows.add([item.name], [None], np.array([values], np.float32), [noticed])
            shown.update(count, completed=len(rows.names) + len(done.rejected))
    done.changed, done.noticed = rows.noted("changed"), rows.noted("noticed")
    return done


def _row(pixels: Picture, missing: Mask, filled: Filled) -> Iterator[tuple[str, Picture]]:
    """Yield the parts of pictures around the hole, by the names of their columns."""
    hidden = pixels.copy()
    hidden[missing] = HIDDEN
    rows, columns = (np.nonzero(missing.any(axis))[0] for axis in (1, 0))
    part = tuple(slice(max(0, 2 * at[0] - at[-1] - 1), at[-1] + (at[-1] - at[0]) + 2) for at in (rows, columns))
    yield "hole", middle(hidden[part])
    yield "harmonic", middle(filled.baseline[part])
    for at, picture in enumerate(filled.pictures):
        yield f"fill {at + 1}" if len(filled.pictures) > 1 else "filled", middle(picture[part])
