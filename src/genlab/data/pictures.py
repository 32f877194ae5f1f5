"""Turns a listing of files into a source: reads headers, decodes into a memory map, finds splits and classes."""

import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

import numpy as np

from genlab.core.errors import DataError, UsageError
from genlab.core.text import counted, printable
from genlab.data import fit
from genlab.data.arrange import STRAY, Arrange, by_folders
from genlab.data.cache import prepared
from genlab.data.dataset import Array, Dataset, IntArray, Rejected, Source, Subset, fingerprint
from genlab.data.decode import decode, read_header, reason, strict
from genlab.data.listing import Listing
from genlab.data.progress import bar

T = TypeVar("T")

_VERSION = 2  # of the cache's contents: increase it when the same files would be decoded differently
_CHUNK = 32  # files per task
# Files that are not meant to be pictures: they are rejected, but are no sign of a damaged source.
_COMPANIONS = frozenset(
    {".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".pdf", ".py", ".rst", ".tsv", ".txt"}
    | {".xml", ".yaml", ".yml"}
)


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
    if not 0 <= max_rejected <= 1:
        raise UsageError(f"the share of rejected files cannot be {max_rejected:g}: choose from 0 to 1.")
    if not listing.total:
        raise DataError(f'"{name}" holds no files (dotfiles, dot-folders and __MACOSX are ignored).')

    def build(folder: Path) -> None:
        _prepare(name, listing, size, channels, folder, progress, arrange)

    key = [_VERSION, listing.digest(), size, channels, *([arrange.key] if arrange else [])]
    source = prepared(cache, key, build, partial(_open, name, listing))
    _check_rejected(source, max_rejected)
    return source


def _open(name: str, listing: Listing, folder: Path) -> Source:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    images: Array = np.load(folder / "images.npy", mmap_mode="r").view(np.ndarray)
    labels: IntArray | None = np.load(folder / "labels.npy") if meta["classes"] else None
    out = np.load(folder / "held_out.npy")

    def split(title: str, belongs: Array) -> Dataset:
        rows = np.flatnonzero(belongs)
        its = None if labels is None else labels[rows]
        return Dataset(f"{name}/{title}", Subset(images, rows), its, tuple(meta["classes"]), meta[title])

    found = (*listing.rejected, *(Rejected(path, why) for path, why in meta["rejected"]))
    return Source(
        name,
        split("train", ~out),
        split("held-out", out),
        listing.total,
        tuple(sorted(found, key=lambda rejected: rejected.path)),
        notes=meta["notes"],
    )


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
        every = range(len(listing.entries))
        # One thread: reading headers is nearly all Python, and two threads would wait for the interpreter's lock.
        # Decoding and resizing release it.
        found = _map(listing, every, read_header, "headers", progress, workers=1)
        headers = dict(_accepted(found, listing, rejected))
        arrange = arrange or by_folders(listing)
        unplaced = arrange.unplaced(list(headers))
        for at in unplaced:
            del headers[at]
            rejected.append((printable(listing.entries[at].path), arrange.why))
        if not headers:
            raise DataError(_no_picture(name, listing, rejected))
        native = np.array([(header.width, header.height) for header in headers.values()])
        sides = native.min(1)
        size = size or fit.default_size(sides)
        channels = channels or (1 if all(header.grey for header in headers.values()) else 3)
        shape, wanted = (channels, *fit.sides(size)), size

        def read(file: BinaryIO) -> Array:
            return decode(file, wanted, shape[0]).array

        pictures = _map(listing, list(headers), read, "decoding", progress, workers=os.cpu_count() or 1)
        decoded = _accepted(pictures, listing, rejected)
        written = _write(folder / "images.npy", shape, decoded)
    if not written:
        raise DataError(_no_picture(name, listing, rejected))
    layout = arrange.lay_out(written)
    np.save(folder / "held_out.npy", layout.held_out)
    if layout.labels is not None:
        np.save(folder / "labels.npy", layout.labels)
    notes = {
        "split": layout.rule,
        "classes": layout.classing
        + (f"; {counted(len(unplaced), 'picture')} beside them rejected" if unplaced else ""),
        "native size": f"shorter side {sides.min()} to {sides.max()}, median {np.median(sides):g}",
        "resize": fit.rule(size),
        **_oblong(native, size),
        "counted": "all files except dotfiles and those in dot-folders and __MACOSX",
    }
    meta: dict[str, Any] = {"classes": layout.classes, "rejected": rejected, "notes": notes}
    images: Array = np.load(folder / "images.npy", mmap_mode="r").view(np.ndarray)
    for title, belongs in (("train", ~layout.held_out), ("held-out", layout.held_out)):
        rows = np.flatnonzero(belongs)
        meta[title] = fingerprint(Subset(images, rows), None if layout.labels is None else layout.labels[rows])
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _oblong(native: Array, size: fit.Size) -> dict[str, str]:
    """Return a note on the pictures that are not square, if there are some."""
    count = int((native[:, 0] != native[:, 1]).sum())
    done = "their longer side is cropped" if isinstance(size, int) else "kept whole"
    return {"not square": f"{count:,} of {len(native):,} pictures: {done}"} if count else {}


def _map(
    listing: Listing, at: Sequence[int], read: Callable[[BinaryIO], T], title: str, progress: bool, workers: int
) -> Iterator[tuple[int, T | str]]:
    """Yield each position with the result of `read` for its file, or with the reason why it failed; in order.

    `workers` threads read a bounded number of files ahead.
    """

    def attempt(positions: Sequence[int]) -> list[tuple[int, T | str]]:
        return [(position, _try(listing, position, read)) for position in positions]

    parts = deque(at[start : start + _CHUNK] for start in range(0, len(at), _CHUNK))
    with bar(progress) as show, ThreadPoolExecutor(workers) as pool:
        task = show.add_task(title, total=len(at))
        running: deque[Future[list[tuple[int, T | str]]]] = deque()
        while parts or running:
            while parts and len(running) < 2 * workers:
                running.append(pool.submit(attempt, parts.popleft()))
            results = running.popleft().result()
            show.advance(task, len(results))
            yield from results


def _try(listing: Listing, position: int, read: Callable[[BinaryIO], T]) -> T | str:
    try:
        with listing.open(position) as file:
            return read(file)
    except Exception as error:  # for damaged files Pillow's plugins raise almost any type
        return reason(error)


def _accepted(
    results: Iterable[tuple[int, T | str]], listing: Listing, rejected: list[tuple[str, str]]
) -> Iterator[tuple[int, T]]:
    for position, result in results:
        if isinstance(result, str):
            rejected.append((printable(listing.entries[position].path), result))
        else:
            yield position, result


def _write(path: Path, shape: tuple[int, int, int], images: Iterable[tuple[int, Array]]) -> list[int]:
    """Write the images as one `.npy` and return their positions.

    Not through a memory map: if the disk is full, writing to a map kills the process with SIGBUS.
    """
    at: list[int] = []

    def header(file: BinaryIO) -> None:
        about = {"descr": "|u1", "fortran_order": False, "shape": (len(at), *shape)}
        np.lib.format.write_array_header_1_0(file, about)  # leaves room for any number of images

    with path.open("wb") as file:
        header(file)
        for position, image in images:
            file.write(np.ascontiguousarray(image).data)
            at.append(position)
        file.seek(0)
        header(file)
    return at


def _check_rejected(source: Source, limit: float) -> None:
    """Raise DataError if too many files are damaged; pictures without a class and other kinds of files are not."""
    sound = [r for r in source.rejected if r.reason != STRAY]
    damaged = [r for r in sound if PurePosixPath(r.path).suffix.lower() not in _COMPANIONS]
    claimed = source.total - len(source.rejected) + len(damaged)  # files that are meant to be pictures
    share = len(damaged) / claimed
    if share > limit:
        enough = math.ceil(share * 100) / 100
        raise DataError(
            f'"{source.name}": {len(damaged)} of {claimed} files ({share:.1%}) are not readable pictures; '
            f"the limit is {limit:.1%}. {_examples(damaged)} "
            f"Repair or remove them, or continue without them: --max-rejected {enough:g}."
        )


def _no_picture(name: str, listing: Listing, rejected: Sequence[tuple[str, str]]) -> str:
    every = [*listing.rejected, *(Rejected(path, why) for path, why in rejected)]
    return f'"{name}" holds no readable picture; files found: {listing.total}. {_examples(every)}'


def _examples(rejected: Sequence[Rejected]) -> str:
    first = "; ".join(f"{item.path}: {item.reason}" for item in rejected[:5])
    more = f"; and {len(rejected) - 5} more" if len(rejected) > 5 else ""
    return f"Rejected: {first}{more}."
