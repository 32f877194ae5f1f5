"""Edits pictures or latents one after the other; writes the results with the names and sizes of their sources."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.edit import moved, relabelled
from genlab.applications.edit_sides import Step
from genlab.applications.picture_folder import unfinished, write_picture
from genlab.applications.project import Codes, Projecting, codes_of, size_of
from genlab.applications.project_files import conditions_of, labels_of
from genlab.applications.rows import Rows, Table, latents_in
from genlab.core.device import device_of
from genlab.core.modality import Modality
from genlab.core.pictures import to_bytes
from genlab.data.dataset import Rejected
from genlab.data.originals import Originals, file_names, squashed_of, stacked

AT_ONCE = 16  # examples that are edited at a time
SHOWN = 16  # pictures that are kept besides being written
COLUMNS = ("squashed",)  # of the rows that are kept until a folder is complete


@dataclass(frozen=True)
class Piece:
    """A few examples: themselves, if they are known, and their codes."""

    names: Sequence[str]
    files: Sequence[str]  # relative paths that end in .png
    sizes: Sequence[tuple[int, int] | None]  # heights and widths, if they are not those of the model
    codes: Codes
    at: int  # the position of the first of them among all
    x: Tensor | None = None  # (B, *shape)


@dataclass(frozen=True)
class Edit:
    """What is changed: latents by steps of some strengths along a direction, or the class."""

    titles: Sequence[str]  # of the results
    strengths: Sequence[float] = ()
    step: Step | None = None
    label: int | None = None  # if there is no direction
    stamp: str = ""  # changes with the examples of the direction

    def __call__(self, model: nn.Module, codes: Codes) -> Tensor:
        """Return the results, (B, S, *shape)."""
        if self.step:
            return moved(model, codes, self.step.latents, self.strengths).cpu()
        assert self.label is not None
        return relabelled(model, codes, self.label).cpu()

    def request(self) -> dict[str, Any]:
        """Return what the results depend on besides the model and the examples, as plain values."""
        return {"titles": self.titles, "strengths": self.strengths, "label": self.label, "stamp": self.stamp}

    def in_pixels(self, x: Tensor) -> Tensor | None:
        """Return the same steps of examples (B, *shape) without the model, (B, S, *shape); None for a class."""
        if self.step is None or self.step.pixels is None:
            return None
        moves = torch.tensor(self.strengths).view(-1, *[1] * (x.ndim - 1)) * self.step.pixels
        made = x[:, None] + moves
        return made.clamp(-1, 1) if x.ndim == 4 else made


@dataclass
class Done:
    """What has been edited."""

    names: list[str] = field(default_factory=list)
    sources: list[Tensor] = field(default_factory=list)  # (B, *shape), if they are known
    frames: list[Tensor] = field(default_factory=list)  # (B, S, *shape) of those that are kept
    in_pixels: list[Tensor] = field(default_factory=list)  # the same of pixels
    squashed: int = 0  # pictures whose aspect ratio is not the model's


def pieces_of(
    model: nn.Module,
    given: Originals,
    how: Projecting,
    classes: Sequence[str],
    rejected: list[Rejected],
    rows: Rows | None,
) -> Iterator[Piece]:
    """Yield examples with their codes, but for those after the first that have a row; add others to `rejected`."""
    device = device_of(model)
    for at, part in unfinished(given, rows, SHOWN, rejected, most=AT_ONCE):
        x = stacked(part)
        codes = codes_of(model, x.to(device), how, labels_of(part, classes).to(device))
        names, files, sizes = ([getattr(each, what) for each in part] for what in ("name", "file", "size"))
        yield Piece(names, files, sizes, codes, at, x)


def pieces_of_table(
    model: nn.Module, table: Table, classes: Sequence[str], modality: Modality, rows: Rows | None
) -> Iterator[Piece]:
    """Yield latents that `genlab encode` or `genlab project` wrote, but for those after the first that have a row.

    Raises:
        UsageError: as `latents_in`, or a row without a class that the model knows.
    """
    latents = latents_in(table, size_of(model, modality))
    device, files = device_of(model), file_names(table.names)
    there = len(rows.names) if rows else 0
    for start in range(0, len(table.names), AT_ONCE):
        part = slice(start, min(start + AT_ONCE, len(table.names)))
        if start >= SHOWN and part.stop <= there:
            continue
        condition = {n: v.to(device) for n, v in conditions_of(table.labels[part], classes).items()}
        codes = Codes(torch.from_numpy(latents[part]).to(device), condition)
        yield Piece(table.names[part], files[part], [None] * len(codes.latents), codes, start)


def edit_each(
    model: nn.Module, edit: Edit, pieces: Iterator[Piece], into: Sequence[Path], rows: Rows | None
) -> Done:
    """Edit examples and keep the results; with `rows` write each into a folder of `into`, and keep the first ones.

    Raises:
        GenlabError: the model does not decode.
        StorageError: the disk refused.
    """
    done = Done()
    for piece in pieces:
        made = edit(model, piece.codes)
        odd = [squashed_of([size], made.shape[2:]) for size in piece.sizes]
        kept = None if rows is None else max(0, SHOWN - piece.at)
        if rows is None:
            done.names += piece.names
            done.squashed += sum(odd)
        else:
            _write(piece, made, odd, into, rows)
        done.frames.append(made[:kept])
        if piece.x is not None:
            done.sources.append(piece.x[:kept])
            plain = edit.in_pixels(piece.x[:kept])
            done.in_pixels += [] if plain is None else [plain]
    if rows is not None:
        done.names, done.squashed = list(rows.names), int(rows.values.sum())
    return done


def _write(piece: Piece, made: Tensor, odd: Sequence[int], into: Sequence[Path], rows: Rows) -> None:
    """Write the results of those examples that have no row, and then their rows."""
    new = slice(max(0, len(rows.names) - piece.at), None)
    for folder, pictures in zip(into, made.unbind(1), strict=True):
        for file, size, picture in zip(piece.files[new], piece.sizes[new], to_bytes(pictures[new]), strict=True):
            write_picture(folder / file, picture, size)
    rows.add(piece.names[new], [None] * len(piece.names[new]), np.array(odd[new], np.float32)[:, None])
