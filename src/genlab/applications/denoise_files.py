"""Removes noise from pictures one after the other, writes each under the name of its source, and measures it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import gt, lt
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from genlab.applications.denoise import BYTE, ByModel, Noisy, non_local_means
from genlab.applications.rows import Rows
from genlab.applications.sheet import SHOWN, middle, show
from genlab.core.batch import PIXELS
from genlab.core.errors import UsageError
from genlab.core.files import put, storage
from genlab.core.modality import Modality
from genlab.core.pictures import Picture, png, to_bytes
from genlab.core.random import generator
from genlab.core.text import printable
from genlab.data.dataset import Rejected, as_floats
from genlab.data.decode import decode, reason, strict
from genlab.data.listing import Listing
from genlab.data.originals import Original, Originals
from genlab.data.progress import bar
from genlab.data.read import list_pictures
from genlab.metrics.noise import noise_level
from genlab.metrics.similarity import WINDOW, psnr, ssim

COMPARED = ("noisy", "non_local_means", "denoised")
MEASURES = ("psnr", "ssim")
COLUMNS = ("sigma", *(f"{name}_{measure}" for measure in MEASURES for name in COMPARED))
MOST_PSNR = 100.0  # dB, of equal pictures, too
CHUNK = 64  # pictures at a time at most


@dataclass(frozen=True)
class Truths:
    """The clean pictures of noisy ones, found by their relative paths without suffix.

    Args:
        listing: the clean pictures.
        channels: of the pictures of the model.
    """

    listing: Listing
    channels: int
    places: Mapping[str, int]
    only: bool  # one noisy and one clean picture, which belong together whatever their names

    def __getitem__(self, name: str) -> Tensor | None:
        """Return the clean picture (C, H, W) in [-1, 1] of a noisy one, if there is one.

        Raises what Pillow raises if it is none.
        """
        at = 0 if self.only else self.places.get(_stem(name))
        if at is None:
            return None
        with strict(), self.listing.open(at) as file:
            return torch.from_numpy(as_floats(decode(file, None, self.channels).array))


def truths(path: Path, modality: Modality, count: int) -> Truths:
    """Return the clean pictures at `path` of `count` noisy ones.

    Raises:
        UsageError: there is nothing at the path, or two pictures have one name.
    """
    listing = list_pictures(path, modality, "--truth ")
    if not listing.entries:
        raise UsageError(f"--truth {path} has no pictures. Give the folder of the originals.")
    names = [printable(entry.path) for entry in listing.entries]
    places = {_stem(name): at for at, name in enumerate(names)}
    if len(places) < len(names):
        twice = next(name for at, name in enumerate(names) if places[_stem(name)] != at)
        raise UsageError(
            f"two pictures in {path} are called {_stem(twice)}, so the truth is not clear. Keep one of them."
        )
    return Truths(listing, modality.shape[0], places, only=count == len(names) == 1)


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


@dataclass(frozen=True)
class Task:
    """How pictures are denoised.

    Args:
        by: what removes the noise.
        sigma: standard deviation of the noise on the scale of 0 to 255; None to estimate that of each picture.
        added: standard deviation of noise that is added to the pictures, which are clean; None for noisy ones.
        seed: of the noise that is added.
        truth: the clean pictures.
        into: a folder for the results.
    """

    by: ByModel
    sigma: float | None
    added: float | None
    seed: int
    truth: Truths | None
    into: Path

    def noisy(self, original: Original) -> Noisy:
        """Return a picture with noise, which is added if so asked."""
        pixels = original.pixels
        if self.added is not None:
            noise = torch.randn(pixels.shape, generator=generator(self.seed, "added noise", original.name))
            pixels = pixels + BYTE * self.added * noise
        sigma = noise_level(pixels[None]).item() / BYTE if self.sigma is None else self.sigma
        return Noisy(original.name, pixels, sigma)

    def clean(self, original: Original) -> Tensor | str | None:
        """Return the clean picture (C, H, W) of a picture, why there is none, or None if none is asked for."""
        if self.added is not None:
            return original.pixels
        try:
            found = self.truth[original.name] if self.truth else None
        except Exception as error:  # for damaged files Pillow's plugins raise almost any type
            return f"its truth cannot be read: {reason(error)}"
        if found is None:
            return "there is no picture of this name in --truth" if self.truth else None
        if found.shape != original.pixels.shape:
            sizes = [f"{picture.shape[2]}x{picture.shape[1]}" for picture in (found, original.pixels)]
            return f"its truth has {sizes[0]} pixels, not {sizes[1]}"
        return found


@dataclass
class Done:
    """What has been denoised, besides the rows of the table."""

    rejected: list[Rejected] = field(default_factory=list)
    unmatched: list[Rejected] = field(default_factory=list)  # pictures without a fitting truth
    larger: int = 0  # pictures with a side that is larger than the model's
    smaller: int = 0


def denoise_each(task: Task, given: Originals, rows: Rows, *, progress: bool) -> Done:
    """Denoise all pictures except those that `rows` has, write each, and append its row.

    Raises:
        StorageError: the disk refused.
    """
    done = Done()
    with bar(progress) as shown:
        count = shown.add_task("denoising", total=given.count, completed=len(rows.names))
        for chunk in _chunks(given, done.rejected, set(rows.names)):
            opened = [task.noisy(original) for original in chunk]
            values, notes = [], []
            every = zip(chunk, opened, task.by(opened), strict=True)
            for at, (original, noisy, made) in enumerate(every, len(rows.names)):
                write_png(task.into / original.file, png(made))
                found = task.clean(original)
                clean = found if isinstance(found, Tensor) else None
                notes.append(
                    _sizes(noisy, task.by.tile) | ({"unmatched": found} if isinstance(found, str) else {})
                )
                pictures = _compared(noisy, clean, made)
                values.append([noisy.sigma, *_measured(noisy, pictures, clean)][: len(rows.columns)])
                if at < SHOWN:
                    truth = {} if clean is None else {"clean": _picture(clean)}
                    columns = (pictures | truth).items()
                    show(rows, at, {name.replace("_", " "): middle(each) for name, each in columns})
            names, labels = [each.name for each in chunk], [each.label for each in chunk]
            rows.add(names, labels, np.array(values, np.float32), notes)
            shown.update(count, completed=len(rows.names) + len(done.rejected))
    done.unmatched = rows.noted("unmatched")
    done.larger, done.smaller = len(rows.noted("larger")), len(rows.noted("smaller"))
    return done


def _chunks(given: Originals, rejected: list[Rejected], names: set[str]) -> Iterator[list[Original]]:
    """Yield some pictures at a time: as many as fit into memory."""
    chunk: list[Original] = []
    for item in given.read(names):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        chunk.append(item)
        if len(chunk) == CHUNK or sum(each.pixels.numel() for each in chunk) > PIXELS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _compared(noisy: Noisy, clean: Tensor | None, made: Picture) -> dict[str, Picture]:
    """Return the noisy picture and the results by name; that of non-local means only to be measured."""
    baseline = None if clean is None else non_local_means(noisy)
    found = {"noisy": _picture(noisy.pixels), "non_local_means": baseline, "denoised": made}
    return {name: picture for name, picture in found.items() if picture is not None}


def _measured(noisy: Noisy, pictures: Mapping[str, Picture], clean: Tensor | None) -> Iterator[float]:
    """Yield PSNR and SSIM in the order of `COLUMNS`, NaN where there are none; those of noise before clipping."""
    for measure in (psnr, ssim):
        for name in COMPARED:
            small = measure is ssim and min(noisy.pixels.shape[1:]) < WINDOW
            if clean is None or name not in pictures or small:
                yield float("nan")
                continue
            made = (
                noisy.pixels if name == "noisy" else torch.from_numpy(as_floats(np.moveaxis(pictures[name], 2, 0)))
            )
            yield min(MOST_PSNR, measure(made[None], clean[None]).item())


def _picture(pixels: Tensor) -> Picture:
    picture: Picture = to_bytes(pixels[None])[0]
    return picture


def means(rows: Rows) -> dict[str, float]:
    """Return the means of the columns that have numbers."""
    values, found = np.asarray(rows.values, np.float64), {}
    for name, column in zip(rows.columns, values.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known):
            found[name] = float(known.mean())
    return found


def _sizes(noisy: Noisy, tile: Sequence[int]) -> dict[str, str]:
    """Return a note if a side of a picture is larger than the model's, and one if it is smaller."""
    sides = list(zip(noisy.pixels.shape[1:], tile, strict=True))
    larger, smaller = (any(compare(*pair) for pair in sides) for compare in (gt, lt))
    return {name: "" for name, has in (("larger", larger), ("smaller", smaller)) if has}


def write_png(path: Path, data: bytes) -> None:
    """Write an encoded picture, in a folder that is made if it is missing."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    put(path, data)
