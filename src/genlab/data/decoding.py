"""Reads the pictures of a listing: first all headers, then their pixels into one array on the disk."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from genlab.core.text import printable
from genlab.data import fit
from genlab.data.dataset import Array
from genlab.data.decode import Decoded, Header, decode, read_header, reason
from genlab.data.listing import Listing
from genlab.data.progress import bar

T = TypeVar("T")

_CHUNK = 32  # files per task
# Files that are not meant to be pictures: they are rejected, but are no sign of a damaged source.
COMPANIONS = frozenset(
    {".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".pdf", ".py", ".rst", ".tsv", ".txt"}
    | {".xml", ".yaml", ".yml"}
)


@dataclass(frozen=True)
class Written:
    """Pictures that were decoded."""

    at: list[int]  # their positions in the listing
    sizes: list[tuple[int, int]]  # height and width of each upright picture
    size: fit.Size
    channels: int
    notes: dict[str, str]  # on their sizes


def read_headers(listing: Listing, rejected: list[tuple[str, str]], progress: bool) -> dict[int, Header]:
    """Return the headers of the pictures by position; other files are added to `rejected`, with the reason."""
    every = range(len(listing.entries))
    # One thread: reading headers is nearly all Python, and two threads would wait for the interpreter's lock.
    # Decoding and resizing release it.
    found = _map(listing, every, read_header, "headers", progress, workers=1)
    return dict(_accepted(found, listing, rejected))


def write_pictures(
    path: Path,
    listing: Listing,
    headers: dict[int, Header],
    size: fit.Size | None,
    channels: int | None,
    rejected: list[tuple[str, str]],
    progress: bool,
    *,
    halves: bool = False,
) -> Written:
    """Write the pictures that have `headers` into an `.npy`: (N, C, H, W), or with `halves` (N, 2C, H, W).

    Files that cannot be decoded are added to `rejected`. Without a size or channels, those that suit the headers.
    """
    native = np.array([(header.width, header.height) for header in headers.values()])
    shorter = native.min(1)
    size = size or fit.default_size(shorter)
    channels = channels or (1 if all(header.grey for header in headers.values()) else 3)
    shape = (channels * (1 + halves), *fit.sides(size))
    read = partial(decode, size=size, channels=channels, halves=halves)
    pictures = _map(listing, list(headers), read, "decoding", progress, workers=os.cpu_count() or 1)
    sizes: list[tuple[int, int]] = []
    images = _counted(_accepted(pictures, listing, rejected), sizes)
    at = _write(path, lambda: (len(sizes), *shape), images)
    notes = {
        "native size": f"shorter side {shorter.min()} to {shorter.max()}, median {np.median(shorter):g}",
        "resize": fit.rule(size),
        **({} if halves else _oblong(native, size)),
    }
    return Written(at, sizes, size, channels, notes)


@dataclass(frozen=True)
class Kept:
    """Pictures that were decoded in their own sizes."""

    at: list[int]  # their positions in the listing
    sizes: list[tuple[int, int]]  # height and width of each upright picture


def read_whole(
    path: Path,
    listing: Listing,
    positions: Sequence[int],
    channels: int,
    rejected: list[tuple[str, str]],
    progress: bool,
) -> Kept:
    """Write pictures in their own sizes into an `.npy` of bytes (bytes,), one (channels, H, W) after the other.

    Files that cannot be decoded are added to `rejected`.
    """
    read = partial(decode, size=None, channels=channels)
    pictures = _map(listing, positions, read, "decoding", progress, workers=os.cpu_count() or 1)
    sizes: list[tuple[int, int]] = []
    counted = _counted(_accepted(pictures, listing, rejected), sizes)
    at = _write(path, lambda: (channels * sum(height * width for height, width in sizes),), counted)
    return Kept(at, sizes)


def _counted(decoded: Iterable[tuple[int, Decoded]], sizes: list[tuple[int, int]]) -> Iterator[tuple[int, Array]]:
    for position, picture in decoded:
        sizes.append(picture.size)
        yield position, picture.array


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


def _write(path: Path, shape: Callable[[], tuple[int, ...]], images: Iterable[tuple[int, Array]]) -> list[int]:
    """Write the images as one `.npy`, whose shape is known at the end, and return their positions.

    Not through a memory map: if the disk is full, writing to a map kills the process with SIGBUS.
    """
    at: list[int] = []

    def header(file: BinaryIO) -> None:
        about = {"descr": "|u1", "fortran_order": False, "shape": shape()}
        np.lib.format.write_array_header_1_0(file, about)  # leaves room for any number of images

    with path.open("wb") as file:
        header(file)
        for position, image in images:
            file.write(np.ascontiguousarray(image).data)
            at.append(position)
        file.seek(0)
        header(file)
    return at
