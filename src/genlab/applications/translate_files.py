"""Translates pictures one after the other, in tiles, and writes each under the name of its source, in its size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.tiles import Mosaic
from genlab.applications.translate import Way, translate
from genlab.core.batch import at_once
from genlab.core.errors import UsageError
from genlab.core.files import put, storage
from genlab.core.pictures import MOST_PIXELS, Extent, Picture, gif, png, resized
from genlab.data.dataset import Rejected, as_floats
from genlab.data.frames import Frame, Frames
from genlab.data.progress import bar

Large: TypeAlias = Literal["tile", "resize"]

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


class Work:
    """A picture that is being translated: its tiles, and the mosaics that are made of their translations."""

    def __init__(self, frame: Frame, number: int, shape: tuple[int, ...], large: Large, columns: int) -> None:
        self.frame, self.number, tile = frame, number, (shape[1], shape[2])
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


def translate_each(task: Task, given: Frames, *, progress: bool) -> Done:
    """Translate pictures, and write each as soon as it is complete.

    Raises:
        UsageError: without folders to write to, they do not fit into one picture.
        StorageError: the disk refused.
    """
    done, written, kept = Done(), _Written(task.into), Extent(len(task.ways) + 1)
    shape = task.ways[0].takes.shape
    with bar(progress) as shown:
        count, files = shown.add_task("translating", total=given.count), 0
        for work in _translated(task, given, shape, done):
            row = work.row()
            if not task.into or (len(done.rows) < KEPT and kept.add(*work.own, KEPT_PIXELS)):
                done.rows.append(row)
            if task.into:
                written.add(work.frame, row[1:])
            done.names.append(work.frame.name)
            _count(done, work)
            files += work.frame.last
            shown.update(count, completed=files + len(done.rejected))
    return done


def _translated(task: Task, given: Frames, shape: tuple[int, ...], done: Done) -> Iterator[Work]:
    """Yield pictures when they are complete, in order; what is none is added to `done.rejected`."""
    waiting: list[Work] = []
    parts: list[tuple[Work, int, Tensor]] = []
    most, number, columns = at_once(shape), 0, len(task.ways) + bool(task.back)
    sheet = Extent(columns + 1)

    def complete() -> Iterator[Work]:
        if parts:
            task.apply(parts)
            parts.clear()
        while waiting and waiting[0].mosaics[-1].complete:
            yield waiting.pop(0)

    for item in given:
        if isinstance(item, Rejected):
            done.rejected.append(item)
            continue
        work = Work(item, number, shape, task.large, columns)
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
    yield from complete()


def _count(done: Done, work: Work) -> None:
    (height, width), tile, size = work.own, work.tile, work.size
    done.larger += height > tile[0] or width > tile[1]
    done.smaller += height < tile[0] or width < tile[1]
    done.squashed += height * size[1] != width * size[0]


class _Written:
    """Writes pictures into the folder of each way; the frames of a GIF together."""

    def __init__(self, into: Mapping[str, Path]) -> None:
        self.into = list(into.values())
        self.frames: list[tuple[Frame, Sequence[Picture]]] = []

    def add(self, frame: Frame, pictures: Sequence[Picture]) -> None:
        """Write the translations of a picture, one for each way."""
        self.frames.append((frame, pictures))
        if not frame.last:
            return
        for column, folder in enumerate(self.into):
            path = folder / frame.file
            with storage(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            put(path, _encoded([(each, made[column]) for each, made in self.frames]))
        self.frames = []


def _encoded(frames: Sequence[tuple[Frame, Picture]]) -> bytes:
    times = [each.shown for each, _ in frames]
    if times[0] is None:
        return png(frames[0][1])
    return gif([p for _, p in frames], [t.milliseconds for t in times if t], times[0].loop)
