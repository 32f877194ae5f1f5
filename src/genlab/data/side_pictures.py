"""Opens the pictures of two sides: of one folder or zip, of two, or side by side in each picture."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genlab.core.errors import DataError
from genlab.core.text import counted, few, printable
from genlab.data import fit
from genlab.data.arrange import BESIDE
from genlab.data.cache import prepared
from genlab.data.dataset import Array, IntArray, Rejected, Subset, chunks
from genlab.data.decode import Header, strict
from genlab.data.decoding import read_headers, write_pictures
from genlab.data.listing import Listing
from genlab.data.pictures import check_rejected, check_request, no_picture
from genlab.data.sides import Sides
from genlab.data.two_sides import Side, TwoSides

_VERSION = 1  # of the cache's contents: increase it when the same files would be decoded differently
_SHOWN = 5  # pictures that a message names
_DIGEST = 16  # bytes


@dataclass(frozen=True)
class _Decoded:
    """An entry of the cache, in the order of `at`."""

    images: Array  # (N, C, H, W), or (N, 2C, H, W) of halves
    at: IntArray  # positions in the listing
    sizes: IntArray  # (N, 2) heights and widths
    grey: Array  # (N,) whether the file is stored in grey
    digests: Array  # (N, 16), of both halves (N, 2, 16)
    rejected: tuple[Rejected, ...]
    notes: Mapping[str, str]


def open_side_pictures(
    name: str,
    listing: Listing,
    sides: Sides,
    size: fit.Size | None,
    channels: int | None,
    max_rejected: float,
    cache: Path,
    progress: bool,
    *,
    halves: bool = False,
) -> TwoSides:
    """Open the pictures at the places that `sides` gives, decoded into the cache unless they are there already.

    Raises:
        DataError: a side without pictures, more than the share `max_rejected` of damaged files, or, with `halves`,
            pictures that are not twice as wide as high.
    """
    check_request(name, listing, max_rejected)

    def build(folder: Path) -> None:
        _prepare(name, listing, sides, size, channels, folder, progress, halves)

    places = hashlib.sha256(str(sorted(sides.places)).encode()).hexdigest()
    key = ["sides", _VERSION, listing.digest(), places, size, channels, halves]
    decoded = prepared(cache, key, build, _read)
    rejected = (*listing.rejected, *decoded.rejected)
    check_rejected(name, listing.total, rejected, max_rejected)
    a, b = (_side(listing, sides, decoded, side, size, halves) for side in range(2))
    count = counted(len(a), "picture")
    notes = {
        "sides": f"{count}, {sides.how}"
        if halves
        else f"A is {a.where} ({count}), B is {b.where} ({len(b):,}), {sides.how}",
        **decoded.notes,
        **({} if channels else _colours(listing, sides, decoded)),
        "counted": "all files except dotfiles and those in dot-folders and __MACOSX, on both sides",
    }
    return TwoSides(name, a, b, listing.total, rejected, notes)


def join_listings(names: tuple[str, str], one: Listing, two: Listing) -> Listing:
    """Return the files of two listings, each below its name."""
    named = list(zip(names, (one, two), strict=True))
    entries = [entry._replace(path=f"{name}/{entry.path}") for name, its in named for entry in its.entries]
    rejected = [Rejected(f"{printable(name)}/{its.path}", its.reason) for name, of in named for its in of.rejected]
    first = len(one.entries)
    return Listing(
        f"{one.place}\0{two.place}",
        entries,
        rejected,
        lambda at: one.open(at) if at < first else two.open(at - first),
    )


def _prepare(
    name: str,
    listing: Listing,
    sides: Sides,
    size: fit.Size | None,
    channels: int | None,
    folder: Path,
    progress: bool,
    halves: bool,
) -> None:
    """Fill `folder` with images.npy, files.npy, digests.npy and meta.json."""
    rejected: list[tuple[str, str]] = []
    with strict():
        headers = read_headers(listing, rejected, progress)
        for at in headers.keys() - sides.places.keys():
            del headers[at]
            rejected.append((printable(listing.entries[at].path), BESIDE))
        if not headers:
            raise no_picture(name, listing, rejected)
        if halves:
            _refuse_other_shapes(name, listing, {at: _sizes(header) for at, header in headers.items()})
        else:
            _refuse_empty(name, sides, list(headers), rejected)
        file = folder / "images.npy"
        written = write_pictures(file, listing, headers, size, channels, rejected, progress, halves=halves)
    if halves:
        found = zip(written.at, written.sizes, strict=True)
        _refuse_other_shapes(name, listing, {at: ((width, height),) for at, (height, width) in found})
    else:
        _refuse_empty(name, sides, written.at, rejected)
    about = [(at, *its, headers[at].grey) for at, its in zip(written.at, written.sizes, strict=True)]
    np.save(folder / "files.npy", np.array(about, dtype=np.int64))
    images: Array = np.load(file, mmap_mode="r").view(np.ndarray)
    np.save(folder / "digests.npy", _digests(images, 1 + halves))
    (folder / "meta.json").write_text(json.dumps({"rejected": rejected, "notes": written.notes}), encoding="utf-8")


def _read(folder: Path) -> _Decoded:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    images: Array = np.load(folder / "images.npy", mmap_mode="r").view(np.ndarray)
    files = np.load(folder / "files.npy")
    rejected = tuple(Rejected(path, why) for path, why in meta["rejected"])
    digests = np.load(folder / "digests.npy")
    return _Decoded(images, files[:, 0], files[:, 1:3], files[:, 3], digests, rejected, meta["notes"])


def _side(
    listing: Listing, sides: Sides, decoded: _Decoded, number: int, size: fit.Size | None, halves: bool
) -> Side:
    places = [sides.places[at] for at in decoded.at.tolist()]
    rows = np.array([row for row, its in enumerate(places) if halves or its.side == number], dtype=np.int64)
    keys = tuple(f"{places[row].part}/{places[row].name}" for row in rows)
    channels = decoded.images.shape[1] // (1 + halves)
    own = any(its.held_out for its in sides.places.values())
    part = slice(number * channels, (number + 1) * channels) if halves else slice(None)
    reasons = {its.path: its.reason for its in decoded.rejected}
    lost = {}
    for at, its in sides.places.items():
        path = printable(listing.entries[at].path)
        if its.side == number and path in reasons:
            lost[f"{its.part}/{its.name}"] = f"{path}: {reasons[path]}"
    return Side(
        sides.names[number],
        sides.folders[number],
        Subset(decoded.images[:, part], rows),
        tuple(printable(listing.entries[decoded.at[row]].path) for row in rows),
        keys,
        np.array([places[row].held_out for row in rows]) if own else None,
        None if halves or isinstance(size, fit.Whole) else decoded.sizes[rows],
        decoded.digests[rows, number if halves else 0],
        lost,
    )


def _digests(images: Array, parts: int) -> Array:
    """Return the hash of each picture, (N, parts, 16)."""
    every = Subset(images, np.arange(len(images)))
    hashes = [
        hashlib.blake2b(np.ascontiguousarray(part).data, digest_size=_DIGEST).digest()
        for chunk in chunks(every)
        for image in chunk
        for part in np.split(image, parts)
    ]
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(images), parts, _DIGEST)


def _sizes(header: Header) -> tuple[tuple[int, int], ...]:
    """Return width and height of a picture, also as if it lay on its side: a header does not tell."""
    return (header.width, header.height), (header.height, header.width)


def _refuse_other_shapes(name: str, listing: Listing, sizes: Mapping[int, Sequence[tuple[int, int]]]) -> None:
    """Refuse pictures of which no possible size is 2:1 within a pixel."""
    others = {at: its[0] for at, its in sizes.items() if all(abs(width - 2 * height) > 1 for width, height in its)}
    if others:
        some = few((f"{printable(listing.entries[at].path)} ({w}x{h})" for at, (w, h) in others.items()), _SHOWN)
        raise DataError(
            f'"{name}": {len(others):,} of {counted(len(sizes), "picture")} are not twice as wide as high, as '
            f"--side-by-side needs: {some}. Remove them, or leave out --side-by-side."
        )


def _refuse_empty(name: str, sides: Sides, at: Sequence[int], rejected: Sequence[tuple[str, str]]) -> None:
    here = {sides.places[position].side for position in at}
    for side in range(2):
        if side not in here:
            some = "; ".join(f"{path}: {why}" for path, why in rejected[:_SHOWN]) or "it is empty"
            raise DataError(
                f'"{name}": {sides.folders[side]} holds no readable picture ({some}). Both sides need some.'
            )


def _colours(listing: Listing, sides: Sides, decoded: _Decoded) -> dict[str, str]:
    """Return a note if one side is grey and the other is not."""
    of = np.array([sides.places[at].side for at in decoded.at.tolist()])
    grey = [bool(decoded.grey[of == side].all()) for side in range(2) if (of == side).any()]
    if len(set(grey)) < 2:
        return {}
    where = sides.folders[grey.index(True)]
    return {"colours": f"{where} is grey and read in colour, as the other side is; choose with --channels"}
