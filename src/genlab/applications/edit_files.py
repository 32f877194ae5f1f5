"""Edits pictures or latents one after the other; writes the results with the names and sizes of their sources."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from genlab.applications.edit import moved, relabelled
from genlab.applications.edit_sides import Step
from genlab.applications.project import Codes, Projecting, codes_of, size_of
from genlab.applications.project_files import conditions_of, labels_of
from genlab.applications.rows import Table, latents_in
from genlab.core.device import device_of
from genlab.core.files import put, storage
from genlab.core.modality import Modality
from genlab.core.pictures import png, resized, to_bytes
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, Originals, file_names, squashed_of, stacked

AT_ONCE = 16  # examples that are edited at a time


@dataclass(frozen=True)
class Piece:
    """A few examples: themselves, if they are known, and their codes."""

    names: Sequence[str]
    files: Sequence[str]  # relative paths that end in .png
    sizes: Sequence[tuple[int, int] | None]  # heights and widths, if they are not those of the model
    codes: Codes
    x: Tensor | None = None  # (B, *shape)


@dataclass(frozen=True)
class Edit:
    """What is changed: latents by steps of some strengths along a direction, or the class."""

    titles: Sequence[str]  # of the results
    strengths: Sequence[float] = ()
    step: Step | None = None
    label: int | None = None  # if there is no direction

    def __call__(self, model: nn.Module, codes: Codes) -> Tensor:
        """Return the results, (B, S, *shape)."""
        if self.step:
            return moved(model, codes, self.step.latents, self.strengths).cpu()
        assert self.label is not None
        return relabelled(model, codes, self.label).cpu()

    def in_pixels(self, x: Tensor) -> Tensor | None:
        """Return the same steps of examples (B, *shape) without the model, (B, S, *shape); None for a class."""
        if self.step is None:
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
    model: nn.Module, given: Originals, how: Projecting, classes: Sequence[str], rejected: list[Rejected]
) -> Iterator[Piece]:
    """Yield examples with their codes; what is no picture is added to `rejected`."""
    for chunk in given.chunks(rejected):
        for start in range(0, len(chunk), AT_ONCE):
            yield _piece(model, chunk[start : start + AT_ONCE], how, classes)


def _piece(model: nn.Module, part: Sequence[Original], how: Projecting, classes: Sequence[str]) -> Piece:
    x = stacked(part)
    codes = codes_of(model, x.to(device_of(model)), how, labels_of(part, classes).to(device_of(model)))
    names, files, sizes = ([getattr(each, what) for each in part] for what in ("name", "file", "size"))
    return Piece(names, files, sizes, codes, x)


def pieces_of_table(model: nn.Module, table: Table, classes: Sequence[str], modality: Modality) -> Iterator[Piece]:
    """Yield the latents that `genlab encode` or `genlab project` wrote.

    Raises:
        UsageError: as `latents_in`, or a row without a class that the model knows.
    """
    latents = latents_in(table, size_of(model, modality))
    device, files = device_of(model), file_names(table.names)
    for start in range(0, len(table.names), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        condition = {n: v.to(device) for n, v in conditions_of(table.labels[part], classes).items()}
        codes = Codes(torch.from_numpy(latents[part]).to(device), condition)
        yield Piece(table.names[part], files[part], [None] * len(codes.latents), codes)


def edit_each(
    model: nn.Module, edit: Edit, pieces: Iterator[Piece], into: Sequence[Path], keep: int | None
) -> Done:
    """Edit examples, write each result into a folder of `into`, if there are some, and keep the first ones.

    Raises:
        GenlabError: the model does not decode.
        StorageError: the disk refused.
    """
    done = Done()
    for piece in pieces:
        made = edit(model, piece.codes)
        for folder, pictures in zip(into, made.unbind(1), strict=False):
            _write(folder, piece, pictures)
        kept = None if keep is None else max(0, keep - len(done.names))
        done.names += piece.names
        done.squashed += squashed_of(piece.sizes, made.shape[2:])
        done.frames.append(made[:kept])
        if piece.x is not None:
            done.sources.append(piece.x[:kept])
            plain = edit.in_pixels(piece.x[:kept])
            done.in_pixels += [] if plain is None else [plain]
    return done


def _write(folder: Path, piece: Piece, pictures: Tensor) -> None:
    for file, size, picture in zip(piece.files, piece.sizes, to_bytes(pictures), strict=True):
        path = folder / file
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        put(path, png(resized(picture, *size) if size else picture))
