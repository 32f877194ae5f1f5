"""Turns a listing of files into a source: reads headers, decodes into a memory map, finds splits and classes."""

import json
import math
from collections.abc import Container, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from genlab.core.errors import DataError, UsageError
from genlab.core.text import counted, printable
from genlab.data import fit
from genlab.data.arrange import BESIDE, STRAY, Arrange, by_folders
from genlab.data.cache import prepared
from genlab.data.dataset import Array, Dataset, IntArray, Rejected, Source, Subset, fingerprint
from genlab.data.decode import strict
from genlab.data.decoding import COMPANIONS, read_headers, write_pictures
from genlab.data.listing import Listing

_VERSION = 2  # of the cache's contents: increase it when the same files would be decoded differently


def open_pictures(
    name: str,
    listing: Listing,
    size: fit.Size | None,
    channels: int | None,
    max_rejected: float,
    cache: Path,
    progress: bool,
    arrange: Arrange | None = None,
) -> Source:
    """Open the pictures of a listing, decoded into the cache unless they are there already.

    Labels and splits are those of `arrange`; by default those that the folders give.

    Raises:
        DataError: no readable picture, or only one and no splits; more than the share `max_rejected` of damaged
            files; or a cache that cannot be written.
        UsageError: `max_rejected` outside 0 to 1.
    """
    check_request(name, listing, max_rejected)

    def build(folder: Path) -> None:
        _prepare(name, listing, size, channels, folder, progress, arrange)

    key = [_VERSION, listing.digest(), size, channels, *([arrange.key] if arrange else [])]
    source = prepared(cache, key, build, partial(_open, name, listing))
    check_rejected(name, source.total, source.rejected, max_rejected)
    return source


def check_request(name: str, listing: Listing, max_rejected: float) -> None:
    """Raise an error unless there are files and the share of those that may be damaged is possible.

    Raises:
        DataError: no files.
        UsageError: `max_rejected` outside 0 to 1.
    """
    if not 0 <= max_rejected <= 1:
        raise UsageError(f"the share of rejected files cannot be {max_rejected:g}: choose from 0 to 1.")
    if not listing.total:
        raise DataError(f'"{name}" holds no files (dotfiles, dot-folders and __MACOSX are ignored).')


def _open(name: str, listing: Listing, folder: Path) -> Source:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    images: Array = np.load(folder / "images.npy", mmap_mode="r").view(np.ndarray)
    labels: IntArray | None = np.load(folder / "labels.npy") if meta["classes"] else None
    out = np.load(folder / "held_out.npy")
    paths, left_out = [entry.path for entry in listing.entries], {path for path, _ in meta["rejected"]}

    def split(title: str, belongs: Array) -> Dataset:
        rows = np.flatnonzero(belongs)
        its = None if labels is None else labels[rows]
        named = partial(_names, paths, left_out, rows) if len(paths) == len(images) + len(left_out) else None
        classes = tuple(meta["classes"])
        return Dataset(f"{name}/{title}", Subset(images, rows), its, classes, meta[title], named=named)

    found = (*listing.rejected, *(Rejected(path, why) for path, why in meta["rejected"]))
    return Source(
        name,
        split("train", ~out),
        split("held-out", out),
        listing.total,
        tuple(sorted(found, key=lambda rejected: rejected.path)),
        notes=meta["notes"],
    )


def _names(paths: Sequence[str], left_out: Container[str], rows: Array) -> list[str]:
    """Return the names of the pictures at `rows` of those whose paths are not left out."""
    kept = [name for name in map(printable, paths) if name not in left_out]
    return [kept[row] for row in rows]


def _prepare(
    name: str,
    listing: Listing,
    size: fit.Size | None,
    channels: int | None,
    folder: Path,
    progress: bool,
    arrange: Arrange | None,
) -> None:
    """Fill `folder` with images.npy, labels.npy, held_out.npy and meta.json."""
    rejected: list[tuple[str, str]] = []
    with strict():
        headers = read_headers(listing, rejected, progress)
        arrange = arrange or by_folders(listing)
        unplaced = arrange.unplaced(list(headers))
        for at in unplaced:
            del headers[at]
            rejected.append((printable(listing.entries[at].path), arrange.why))
        if not headers:
            raise no_picture(name, listing, rejected)
        written = write_pictures(folder / "images.npy", listing, headers, size, channels, rejected, progress)
    if not written.at:
        raise no_picture(name, listing, rejected)
    layout = arrange.lay_out(written.at)
    np.save(folder / "held_out.npy", layout.held_out)
    if layout.labels is not None:
        np.save(folder / "labels.npy", layout.labels)
    notes = {
        "split": layout.rule,
        "classes": layout.classing
        + (f"; {counted(len(unplaced), 'picture')} beside them rejected" if unplaced else ""),
        **written.notes,
        "counted": "all files except dotfiles and those in dot-folders and __MACOSX",
    }
    meta: dict[str, Any] = {"classes": layout.classes, "rejected": rejected, "notes": notes}
    images: Array = np.load(folder / "images.npy", mmap_mode="r").view(np.ndarray)
    for title, belongs in (("train", ~layout.held_out), ("held-out", layout.held_out)):
        rows = np.flatnonzero(belongs)
        meta[title] = fingerprint(Subset(images, rows), None if layout.labels is None else layout.labels[rows])
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def check_rejected(name: str, total: int, rejected: Sequence[Rejected], limit: float) -> None:
    """Refuse a source if more than the share `limit` of its files are damaged.

    Pictures without a class or a side and other kinds of files are not damaged.

    Raises:
        DataError: there are more.
    """
    sound = [r for r in rejected if r.reason not in (STRAY, BESIDE)]
    damaged = [r for r in sound if PurePosixPath(r.path).suffix.lower() not in COMPANIONS]
    claimed = total - len(rejected) + len(damaged)  # files that are meant to be pictures
    share = len(damaged) / claimed
    if share > limit:
        enough = math.ceil(share * 100) / 100
        raise DataError(
            f'"{name}": {len(damaged)} of {claimed} files ({share:.1%}) are not readable pictures; '
            f"the limit is {limit:.1%}. {_examples(damaged)} "
            f"Repair or remove them, or continue without them: --max-rejected {enough:g}."
        )


def no_picture(name: str, listing: Listing, rejected: Sequence[tuple[str, str]]) -> DataError:
    """Return the error that nothing in a listing is a picture."""
    every = [*listing.rejected, *(Rejected(path, why) for path, why in rejected)]
    return DataError(f'"{name}" holds no readable picture; files found: {listing.total}. {_examples(every)}')


def _examples(rejected: Sequence[Rejected]) -> str:
    first = "; ".join(f"{item.path}: {item.reason}" for item in rejected[:5])
    more = f"; and {len(rejected) - 5} more" if len(rejected) > 5 else ""
    return f"Rejected: {first}{more}."
