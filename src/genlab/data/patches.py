"""Patches of pictures in their own sizes, for models that restore pictures of any size: `--patches 96`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genlab.core.batch import Batch
from genlab.core.errors import DataError, UsageError
from genlab.core.modality import BYTES, DataSpec, Images
from genlab.core.text import counted, printable
from genlab.data.cache import prepared
from genlab.data.dataset import Array, IntArray, Rejected, Source, as_floats
from genlab.data.decode import strict
from genlab.data.decoding import read_headers, read_whole
from genlab.data.fit import MOST
from genlab.data.layout import splits
from genlab.data.listing import Listing
from genlab.data.loader import hashed
from genlab.data.pictures import check_rejected, check_request, no_picture

_VERSION = 1  # of the cache's contents
LEAST = 16  # pixels of a side of a patch
SMALL = "is smaller than a patch"


@dataclass(frozen=True)
class Ragged:
    """Pictures of different sizes, stored one after the other.

    Args:
        numbers: (bytes,) uint8, the pixels of each (C, H, W).
        places: (N, 3), where each begins, its height and its width.
        channels: C.
    """

    numbers: Array
    places: IntArray
    channels: int

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> Array:
        """Return a picture (C, H, W), as a view."""
        begin, height, width = self.places[row].tolist()
        size = self.channels * height * width
        picture: Array = self.numbers[begin : begin + size].reshape(self.channels, height, width)
        return picture


@dataclass(frozen=True)
class Patches:
    """A split of squares that are cut out of pictures at random.

    Each picture gives as many patches an epoch as fit into it without overlap. Where a patch lies, and with
    `turned` which of the eight symmetries of a square it is shown in, depends only on the seed, the epoch and the
    position.

    Args:
        name: in messages.
        pictures: of any sizes, of which no side is smaller than a patch.
        side: of a patch, in pixels.
        seed: of the places.
        turned: whether patches are rotated by quarter turns and mirrored.
        fingerprint: of the pictures and of the side.
    """

    name: str
    pictures: Ragged
    side: int
    seed: int
    turned: bool
    fingerprint: str

    @cached_property
    def owners(self) -> IntArray:
        """The picture of each patch of an epoch."""
        fit = (self.pictures.places[:, 1:] // self.side).prod(1)
        return np.repeat(np.arange(len(self.pictures)), fit)

    @property
    def labels(self) -> None:
        """None: classes are not used."""
        return None

    @property
    def spec(self) -> DataSpec:
        """Images of the side of a patch."""
        return DataSpec(Images(self.pictures.channels, self.side, self.side, BYTES))

    @property
    def values(self) -> "_FirstEpoch":
        """The patches of the first epoch."""
        return _FirstEpoch(self)

    def __len__(self) -> int:
        return len(self.owners)

    def __repr__(self) -> str:
        return f"<Patches {self.name}: {counted(len(self.pictures), 'picture')}, {self.spec.target}>"

    def cut(self, index: IntArray, epoch: IntArray) -> Array:
        """Return the patches at `index` (B,) of the epochs `epoch` (B,) as bytes (B, C, side, side)."""
        out = np.empty((len(index), *self.spec.target.shape), np.uint8)
        draws = hashed(self.seed, "patch", epoch, index).tolist()
        for row, (owner, draw) in enumerate(zip(self.owners[index].tolist(), draws, strict=True)):
            picture = self.pictures[owner]
            _, height, width = picture.shape
            draw, top = divmod(draw, height - self.side + 1)
            draw, left = divmod(draw, width - self.side + 1)
            patch = picture[:, top : top + self.side, left : left + self.side]
            out[row] = _turned(patch, draw % 8) if self.turned else patch
        return out

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the patches at `index` (B,) as of the epochs `epoch` (B,), by default of the first."""
        epochs = np.zeros(len(index), dtype=np.int64) if epoch is None else epoch
        x = torch.from_numpy(as_floats(self.cut(index, epochs)))
        return Batch(x, torch.from_numpy(np.array(index, dtype=np.int64)))


@dataclass(frozen=True)
class _FirstEpoch:
    """The patches of the first epoch as an array."""

    patches: Patches

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.patches), *self.patches.spec.target.shape)

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: IntArray, /) -> Array:
        return self.patches.cut(index, np.zeros(len(index), dtype=np.int64))


def _turned(patch: Array, way: int) -> Array:
    """Return a square in one of its eight symmetries."""
    turned = np.rot90(patch, way % 4, (1, 2))
    return turned[..., ::-1] if way >= 4 else turned


def open_patches(
    name: str,
    listing: Listing,
    side: int,
    channels: int | None,
    max_rejected: float,
    cache: Path,
    seed: int,
    progress: bool,
) -> Source:
    """Open the pictures of a listing in their own sizes as patches, decoded into the cache unless they are there.

    Folders for training and held-out pictures are recognised; other folders have no meaning. Pictures that are
    smaller than a patch are left out.

    Raises:
        UsageError: a side or a share of rejected files that is not possible.
        DataError: no readable picture, none that is large enough, or only one and no splits; more than the share
            `max_rejected` of damaged files; or a cache that cannot be written.
    """
    if not LEAST <= side <= MOST:
        raise UsageError(f"no --patches {side}. Choices: {LEAST} to {MOST} (pixels of a side).")
    check_request(name, listing, max_rejected)

    def build(folder: Path) -> None:
        _prepare(name, listing, side, channels, folder, progress)

    key = ["patches", _VERSION, listing.digest(), side, channels]
    source = prepared(cache, key, build, partial(_open, name, listing, side, seed))
    sound = [each for each in source.rejected if SMALL not in each.reason]
    small = source.total - len(source.rejected) + len(sound)
    check_rejected(name, small, sound, max_rejected)
    return source


def _open(name: str, listing: Listing, side: int, seed: int, folder: Path) -> Source:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    numbers: Array = np.load(folder / "numbers.npy", mmap_mode="r").view(np.ndarray)
    places: IntArray = np.load(folder / "places.npy")
    out = np.load(folder / "held_out.npy")

    def split(title: str, belongs: Array) -> Patches:
        ragged = Ragged(numbers, places[belongs], meta["channels"])
        return Patches(f"{name}/{title}", ragged, side, seed, title == "train", meta[title])

    found = (*listing.rejected, *(Rejected(path, why) for path, why in meta["rejected"]))
    return Source(
        name,
        split("train", ~out),
        split("held-out", out),
        listing.total,
        tuple(sorted(found, key=lambda rejected: rejected.path)),
        notes=meta["notes"],
    )


def _prepare(name: str, listing: Listing, side: int, channels: int | None, folder: Path, progress: bool) -> None:
    """Fill `folder` with numbers.npy, places.npy, held_out.npy and meta.json."""
    rejected: list[tuple[str, str]] = []
    with strict():
        headers = read_headers(listing, rejected, progress)
        large = {at: header for at, header in headers.items() if min(header.width, header.height) >= side}
        if headers and not large:
            widest = max(min(header.width, header.height) for header in headers.values())
            less = f"--patches {widest // 8 * 8} or less, or " if widest >= LEAST else ""
            raise DataError(
                f'all pictures of "{name}" are smaller than a patch of {side} pixels; the shorter side of the '
                f"largest has {widest}. Give {less}larger pictures."
            )
        little = [printable(listing.entries[at].path) for at in headers if at not in large]
        rejected += [(path, f"{SMALL} of {side} pixels") for path in little]
        if not large:
            raise no_picture(name, listing, rejected)
        every = channels or (1 if all(header.grey for header in large.values()) else 3)
        written = read_whole(folder / "numbers.npy", listing, list(large), every, rejected, progress)
    if not written.at:
        raise no_picture(name, listing, rejected)
    held_out, rule, _ = splits([listing.entries[at].path for at in written.at])
    np.save(folder / "held_out.npy", held_out)
    np.save(folder / "places.npy", places := _places(written.sizes, every))
    meta: dict[str, Any] = {
        "channels": every,
        "rejected": rejected,
        "notes": _notes(rule, written.sizes, side, len(headers) - len(large)),
    }
    numbers: Array = np.load(folder / "numbers.npy", mmap_mode="r").view(np.ndarray)
    for title, belongs in (("train", ~held_out), ("held-out", held_out)):
        meta[title] = _fingerprint(Ragged(numbers, places[belongs], every), side)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _places(sizes: Sequence[tuple[int, int]], channels: int) -> IntArray:
    both = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    lengths = channels * both.prod(1)
    return np.column_stack([np.cumsum(lengths) - lengths, both])


def _notes(rule: str, sizes: Sequence[tuple[int, int]], side: int, small: int) -> dict[str, str]:
    shorter = [min(size) for size in sizes]
    notes = {
        "split": rule,
        "classes": "none: patches are read without labels",
        "native size": f"shorter side {min(shorter)} to {max(shorter)}, median {np.median(shorter):g}",
        "patches": f"{side}x{side} px, cut out at random, rotated and mirrored; nothing is resized",
        "counted": "all files except dotfiles and those in dot-folders and __MACOSX",
    }
    if small:
        notes["too small"] = f"{counted(small, 'picture')} left out: smaller than a patch of {side} px"
    return notes


def _fingerprint(pictures: Ragged, side: int) -> str:
    digest = hashlib.sha256(f"patches {side} {pictures.channels}".encode())
    for row in range(len(pictures)):
        picture = pictures[row]
        digest.update(str(picture.shape).encode())
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()
