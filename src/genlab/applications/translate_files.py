"""Translates pictures one after the other, in tiles, and writes each under the name of its source, in its size.

Tiles of several pictures are translated together, but only within a group of files. A killed command goes on with
its first incomplete group, so that what it makes does not depend on the kill.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.rows import Rows
from genlab.applications.tiles import Mosaic
from genlab.applications.translate import Way, translate
from genlab.core.batch import at_once
from genlab.core.errors import UsageError
from genlab.core.files import put, storage
from genlab.core.pictures import MOST_PIXELS, Extent, Picture, gif, png, resized
from genlab.data.dataset import Rejected, as_floats
from genlab.data.frames import Frame, Frames, frame_names
from genlab.data.progress import bar

Large: TypeAlias = Literal["tile", "resize"]

GROUP = 64  # files
COLUMNS = ("frames", "larger", "smaller", "squashed")  # of a file until its folder is complete; no GIF: 0 frames
KEPT, KEPT_PIXELS = 64, 2**22  # rows, and their pixels, that are kept besides being written
ROWS = 2**32  # of the noise for each picture: one for each of its tiles


@dataclass
class Done:
    """What has been translated, and how."""

    names: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    larger: int = 0  # pictures of which a side is larger than the model's
    smaller: int = 0  # pictures of which a side is smaller than the model's
    squashed: int = 0  # pictures whose aspect ratio was changed for the model
    rows: list[list[Picture]] = field(default_factory=list)  # source, translations, and back again if so asked

    def count(self, names: Sequence[str], larger: bool, smaller: bool, squashed: bool) -> None:
        """Count pictures of one size."""
        self.names += names
        self.larger += len(names) * larger
        self.smaller += len(names) * smaller
        self.squashed += len(names) * squashed


class Work:
    """A picture that is being translated: its tiles, and the mosaics that are made of their translations."""

    def __init__(
        self, frame: Frame, file: int, number: int, shape: tuple[int, ...], large: Large, columns: int
    ) -> None:
        self.frame, self.file, self.number = frame, file, number  # the positions of its file, and of itself
        tile = (shape[1], shape[2])
        own = self.own = (frame.pixels.shape[1], frame.pixels.shape[2])
        self.size = tile if large == "resize" else (max(own[0], tile[0]), max(own[1], tile[1]))
        self.source: Picture = np.ascontiguousarray(np.moveaxis(frame.pixels, 0, 2))
        self.mosaics = [Mosaic(self.size, tile) for _ in range(columns)]
        self.tile = tile

    def tiles(self) -> Iterator[Tensor]:
        """Yield the tiles (C, h, w) of the picture, in [-1, 1]."""
        picture, (height, width) = np.moveaxis(resized(self.source, *self.size), 2, 0), self.tile
        for top, left in self.mosaics[0].corners:
            yield torch.from_numpy(as_floats(picture[:, top : top + height, left : left + width]))

    def row(self) -> list[Picture]:
        """Return the picture and what was made of it, in its own size."""
        return [self.source, *(resized(mosaic.picture, *self.own) for mosaic in self.mosaics)]

    def sizes(self) -> tuple[bool, bool, bool]:
        """Return whether a side is larger than the model's, or smaller, and whether the sides are squashed."""
        (height, width), tile, size = self.own, self.tile, self.size
        larger, smaller = height > tile[0] or width > tile[1], height < tile[0] or width < tile[1]
        return larger, smaller, height * size[1] != width * size[0]


@dataclass(frozen=True)
class Task:
    """How pictures are translated.

    Args:
        model: the model.
        ways: the translations to make of each.
        back: the translation that undoes them, which is made in addition; none to leave it out.
        large: "tile" translates larger pictures in tiles, "resize" shrinks them.
        seed: of the noise.
        into: a folder for the translations of each way, by its name; none to keep all in memory.
    """

    model: nn.Module
    ways: Sequence[Way]
    back: Way | None
    large: Large
    seed: int
    into: Mapping[str, Path] = field(default_factory=dict)

    def apply(self, parts: Sequence[tuple[Work, int, Tensor]]) -> None:
        """Translate tiles, given with their work and position in it, and add them to their mosaics."""
        x = torch.stack([tile for *_, tile in parts])
        rows = [work.number * ROWS + at for work, at, _ in parts]
        made = [translate(self.model, way, x, rows, self.seed) for way in self.ways]
        if self.back:
            as_written = ((made[0] + 1) * 127.5).round() / 127.5 - 1
            made.append(translate(self.model, self.back, as_written, rows, self.seed))
        for column, tiles in enumerate(made):
            for (work, _, _), tile in zip(parts, tiles, strict=True):
                work.mosaics[column].add(tile.float())


def translate_each(task: Task, given: Frames, rows: Rows | None = None, *, progress: bool) -> Done:
    """Translate pictures, and write each as soon as it is complete.

    With `rows`, files that have a row are not written again, but those of the first group are kept again.

    Raises:
        UsageError: without folders to write to, they do not fit into one picture.
        StorageError: the disk refused.
    """
    done, written, kept = Done(), _Written(task.into, rows), Extent(len(task.ways) + 1)
    shape, there = task.ways[0].takes.shape, len(rows.names) if rows else 0
    with bar(progress) as shown:
        count = shown.add_task("translating", total=given.count, completed=there)
        for work in _translated(task, given, rows, shape, done):
            row = work.row()
            few = work.file < GROUP and len(done.rows) < KEPT  # those that a killed command makes again
            if not task.into or (few and kept.add(*work.own, KEPT_PIXELS)):
                done.rows.append(row)
            if task.into:
                written.add(work, row[1:])
            done.count([work.frame.name], *work.sizes())
            shown.update(count, completed=max(there, work.file + work.frame.last) + len(done.rejected))
    return done if rows is None else _counted(done, rows)


def _counted(done: Done, rows: Rows) -> Done:
    """Return what has been done with all files that have a row."""
    found = Done(rejected=done.rejected, rows=done.rows)
    for name, (frames, *sizes) in zip(rows.names, rows.values.astype(int).tolist(), strict=True):
        found.count(frame_names(name, frames) if frames else [name], *sizes)
    return found


def _translated(
    task: Task, given: Frames, rows: Rows | None, shape: tuple[int, ...], done: Done
) -> Iterator[Work]:
    """Yield pictures when they are complete, in order; what is none is added to `done.rejected`."""
    waiting: list[Work] = []
    parts: list[tuple[Work, int, Tensor]] = []
    most, file, number, columns = at_once(shape), 0, 0, len(task.ways) + bool(task.back)
    names = (
        rows.names[GROUP : len(rows.names) // GROUP * GROUP] if rows else []
    )  # of complete groups but the first
    frames = rows.values[GROUP : GROUP + len(names), 0].clip(1).sum() if rows else 0
    sheet = Extent(columns + 1)

    def complete() -> Iterator[Work]:
        if parts:
            task.apply(parts)
            parts.clear()
        while waiting and waiting[0].mosaics[-1].complete:
            yield waiting.pop(0)

    for item in given.read(set(names)):
        if isinstance(item, Rejected):
            done.rejected.append(item)
            continue
        work = Work(item, file, number, shape, task.large, columns)
        number += 1
        if not task.into and not sheet.add(*work.own, MOST_PIXELS):
            raise UsageError(
                f"one .png holds at most {MOST_PIXELS:,} pixels, which {item.name} would exceed. "
                "Give a folder for single pictures: --out FOLDER."
            )
        waiting.append(work)
        for at, tile in enumerate(work.tiles()):
            parts.append((work, at, tile))
            if len(parts) == most:
                yield from complete()
        file += item.last
        if item.last and file % GROUP == 0:
            yield from complete()
        if item.last and file == GROUP:
            file, number = file + len(names), number + int(frames)
    yield from complete()


class _Written:
    """Writes pictures that have no row yet into the folder of each way; the frames of a GIF together."""

    def __init__(self, into: Mapping[str, Path], rows: Rows | None) -> None:
        self.into, self.rows = list(into.values()), rows
        self.frames: list[tuple[Frame, Sequence[Picture]]] = []

    def add(self, work: Work, pictures: Sequence[Picture]) -> None:
        """Write the translations of a picture, one for each way."""
        self.frames.append((frame := work.frame, pictures))
        if not frame.last:
            return
        frames, self.frames = self.frames, []
        if self.rows and work.file < len(self.rows.names):
            return
        for column, folder in enumerate(self.into):
            path = folder / frame.file
            with storage(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            put(path, _encoded([(each, made[column]) for each, made in frames]))
        if self.rows:
            count = len(frames) if frame.shown else 0
            name = frame.name.removesuffix(frame_names("", count)[-1]) if count else frame.name
            self.rows.add([name], [None], np.array([[count, *work.sizes()]], np.float32))


def _encoded(frames: Sequence[tuple[Frame, Picture]]) -> bytes:
    times = [each.shown for each, _ in frames]
    if times[0] is None:
        return png(frames[0][1])
    return gif([p for _, p in frames], [t.milliseconds for t in times if t], times[0].loop)
