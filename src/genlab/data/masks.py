"""Holes from a folder of masks: `--degrade holes=FOLDER`, or `known=FOLDER` if white is what is known."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError
from genlab.core.random import Draws
from genlab.core.text import counted
from genlab.data.decode import strict, to_bytes, upright
from genlab.data.holes import INVERTED, Hole, black_or_white
from genlab.data.listing import list_folder

SHOWN = 3  # names in a note


class Mask(NamedTuple):
    """A picture that is white or black where another one is missing."""

    grey: npt.NDArray[np.uint8]  # (H, W)
    clear: bool  # whether parts of it are transparent, which count as black


def read_mask(file: BinaryIO) -> Mask:
    """Return the mask in a file; raises what `upright` and `to_bytes` raise."""
    from PIL import Image

    with upright(file) as (picture, _):
        if not picture.has_transparency_data or picture.mode.startswith("I"):
            return Mask(np.asarray(to_bytes(picture).convert("L")), clear=False)
        front = picture.convert("RGBA")
        clear = front.getchannel("A").getextrema() != (255, 255)
        return Mask(
            np.asarray(Image.alpha_composite(Image.new("RGBA", front.size, "black"), front).convert("L")), clear
        )


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of one size, of which one is drawn for each picture.

    Args:
        packed: their pixels as bits, 1 where a pixel is missing, (N, bytes of height·width bits).
        size: height and width.
        note: what was noticed as they were read.
    """

    packed: npt.NDArray[np.uint8]
    size: tuple[int, int]
    note: str

    def __call__(self, height: int, width: int, draws: Draws) -> Hole:
        """Return one of the masks (H, W), whose size is that of the pictures."""
        at = int(len(self.packed) * draws.uniform().item())
        return np.unpackbits(self.packed[at], count=height * width).reshape(height, width).astype(np.bool_)

    @property
    def fingerprint(self) -> str:
        """A hash of the masks in their order."""
        return hashlib.sha256(repr(self.size).encode() + self.packed.tobytes()).hexdigest()[:12]


def open_masks(folder: Path, height: int, width: int, *, known: bool) -> Masks:
    """Return the masks in a folder, resized to the pictures by the nearest pixel.

    Those that leave nothing missing, or nothing known, are left out.

    Args:
        folder: with masks of any size.
        height: of the pictures.
        width: of the pictures.
        known: whether white is what is known; else what is missing.

    Raises:
        DataError: there is no mask that can be used.
    """
    listing = list_folder(folder)
    found: list[Hole] = []
    grey, clear, empty, unread = [], [], [], [item.path for item in listing.rejected]
    for at, entry in enumerate(listing.entries):
        try:
            with strict(), listing.open(at) as file:
                mask = read_mask(file)
        except Exception:  # for damaged files Pillow's plugins raise almost any type
            unread.append(entry.path)
            continue
        white, binary = black_or_white(mask.grey)
        grey += [] if binary else [entry.path]
        clear += [entry.path] if mask.clear else []
        hole = _resized(white != known, height, width)
        if hole.any() and not hole.all():
            found.append(hole)
        else:
            empty.append(entry.path)
    if not found:
        reasons = _lines(grey, clear, empty, unread) or ["it is empty"]
        raise DataError(
            f"the folder {folder} has no mask that can be used: {'; '.join(reasons)}. A mask is a picture that is "
            f"{'black' if known else 'white'} where pixels are missing."
        )
    large = sum(hole.mean() > INVERTED for hole in found)
    lines = [counted(len(found), "mask"), *_lines(grey, clear, empty, unread)]
    if 2 * large > len(found):
        other = f"{'holes' if known else 'known'}={folder}"
        lines.append(
            f"{large} of them hide more than half of the picture, as if inverted: if so, --degrade {other}"
        )
    packed = np.stack([np.packbits(hole) for hole in found])
    return Masks(packed, (height, width), "; ".join(lines))


def _lines(grey: list[str], clear: list[str], empty: list[str], unread: list[str]) -> list[str]:
    """Return what was noticed, with the names of the first files."""
    about = (
        (grey, "not black and white, of which what is lighter than half counts as white"),
        (clear, "with transparent parts, which count as black"),
        (empty, "left out, because nothing is missing or nothing is known"),
        (unread, "could not be read"),
    )
    shown = [(len(files), what, ", ".join(files[:SHOWN]) + ", …" * (len(files) > SHOWN)) for files, what in about]
    return [f"{count} {what}: {names}" for count, what, names in shown if count]


def _resized(hole: Hole, height: int, width: int) -> Hole:
    rows, columns = (
        ((np.arange(side) + 0.5) * length / side).astype(np.int64)
        for side, length in zip((height, width), hole.shape, strict=True)
    )
    resized: Hole = hole[rows[:, None], columns]
    return resized
