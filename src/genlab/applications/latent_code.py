"""An entropy code for latents: how finely each is rounded, and how many bits each rounded value takes.

A latent z is rounded to a whole number k near (z − location) / (step·unit). Its `unit` is the change of the latent
that moves a picture as far as one grey level moves a pixel, so that the step means what it means in JPEG: the
distance of two rounded values in grey levels, as for an orthonormal transform. At the optimum of a VAE the width
of each posterior is proportional to this unit, too (Lucas et al., 2019).

The probability of k is the share of the training pictures whose latent falls there, by their quantiles. All that
the decoder computes for it are sums, products and quotients of whole numbers, which are the same on every machine.

References:
    Ballé, Laparra and Simoncelli, 2017. End-to-end Optimized Image Compression. ICLR.
    Lucas et al., 2019. Don't Blame the ELBO! NeurIPS: the width of the posterior and the decoder's gain.
    Bamler, 2022. Understanding Entropy Coding With Asymmetric Numeral Systems. arXiv:2201.01741: constriction.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.core.errors import DataError, GenlabError
from genlab.core.files import read, replace
from genlab.core.text import printable

Whole = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

MOST_STEP = 1000
LEVELS = 128  # intervals between quantiles
TOTAL, LEAST = 2**20, 16  # of the frequencies of a latent; of a value that no training picture has
FARTHEST = 2**17  # units from the location, beyond which quantiles of latents are clipped
TRADE = 0.06  # squared steps of error that are accepted to save a bit
LARGEST = 2**28  # bytes of a file of scales


@dataclass(frozen=True)
class Scales:
    """Where the latents of the training pictures lie, and how much each of them moves a picture."""

    location: Floats  # (D,) their means
    unit: Floats  # (D,) change that moves a picture by one grey level
    levels: Whole  # (LEVELS + 1,) from 0 to TOTAL, in the order of the quantiles
    quantiles: Whole  # (D, LEVELS + 1) of (z − location) / unit, rounded

    @cached_property
    def digest(self) -> bytes:
        """A hash of what the code depends on, 8 bytes."""
        found = hashlib.sha256()
        for array in (self.location, self.unit, self.levels, self.quantiles):
            found.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return found.digest()[:8]


def fit(latents: Floats, gain: Floats) -> Scales:
    """Return the scales of latents (N, D) of training pictures, whose `gain` is in grey levels per unit."""
    location = latents.mean(0, dtype=np.float64).astype(np.float32)
    unit = (1 / np.maximum(gain, max(1e-6 * float(gain.max()), 1e-30))).astype(np.float32)
    scaled = np.sort((latents - location) / unit, axis=0)
    shares = (1 - np.cos(np.pi * np.arange(LEVELS + 1) / LEVELS)) / 2  # the tails in finer steps
    ranks = np.rint(shares * (len(latents) - 1)).astype(np.int64)
    quantiles = np.rint(scaled[ranks].T.clip(-FARTHEST, FARTHEST)).astype(np.int64)
    return Scales(location, unit, np.rint(shares * TOTAL).astype(np.int64), quantiles)


def gains(
    decode: Callable[[Tensor], Tensor], latents: Tensor, generator: torch.Generator, draws: int = 4
) -> Tensor:
    """Return the root mean square change of a picture in grey levels per unit of each latent, (D,).

    The squared norm of each column of the decoder's Jacobian J is the mean of (Jᵀv)² over random signs v
    (Hutchinson), here also over the latents (N, D).
    """
    total = torch.zeros(latents.shape[1])
    points = latents.detach().clone().requires_grad_()
    for _ in range(draws):
        with torch.enable_grad():
            pictures = decode(points)
            signs = torch.randint(0, 2, pictures.shape, generator=generator).to(pictures) * 2 - 1
            (slopes,) = torch.autograd.grad((pictures * signs).sum(), points)
        total += slopes.float().square().mean(0).cpu() / draws
    return 127.5 * total.sqrt()


def save(scales: Scales, path: Path) -> None:
    """Write scales into an .npz, which `load` reads.

    Raises:
        StorageError: the disk refused.
    """
    stream = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(scales, name) for name in ("location", "unit", "levels", "quantiles")}
    np.savez_compressed(stream, **arrays)
    replace(path, stream.getvalue())


def load(path: Path, latents: int) -> Scales:
    """Read the scales of so many latents.

    Raises:
        DataError: the file is damaged, or of another model.
        OSError: it cannot be read.
    """
    try:
        with np.load(io.BytesIO(read(path, LARGEST)), allow_pickle=False) as file:
            scales = Scales(*(file[name] for name in ("location", "unit", "levels", "quantiles")))
            shapes = [array.shape for array in (scales.location, scales.unit, scales.levels, scales.quantiles)]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged. Delete it; genlab compress makes it again.") from error
    if shapes != [(latents,), (latents,), (LEVELS + 1,), (latents, LEVELS + 1)]:
        raise DataError(f"{path} is of another model. Delete it; genlab compress makes it again.")
    return scales


def frequencies(levels: Whole, quantiles: Whole, step: int) -> tuple[int, Whole]:
    """Return the lowest rounded value of a latent and the frequencies of all from it on, by whole numbers only.

    They reach as far beyond the quantiles on each side as these lie apart.
    """
    known = 2 * quantiles
    reach = int(quantiles[-1] - quantiles[0]) + step
    first, last = (int(quantiles[0]) - reach) // step, -(-(int(quantiles[-1]) + reach) // step)
    edges = (2 * np.arange(first, last + 2) - 1) * step
    at = np.clip(np.searchsorted(known, edges, "right") - 1, 0, len(known) - 2)
    width = np.maximum(known[at + 1] - known[at], 1)
    within = np.clip(edges - known[at], 0, width)
    cumulative = levels[at] + (levels[at + 1] - levels[at]) * within // width
    return first, np.diff(cumulative) + LEAST


class Code:
    """A code for the latents of pictures, and for their class if there are `classes`, at one step."""

    def __init__(self, scales: Scales, step: int, classes: int = 0) -> None:
        from constriction import stream

        self.scales, self.step, self.classes = scales, step, classes
        tables = [frequencies(scales.levels, quantiles, step) for quantiles in scales.quantiles]
        tables += [(0, np.ones(classes, np.int64))] if classes else []
        self.lowest = [first for first, _ in tables]
        self.prices = [-np.log2(counts / counts.sum()) for _, counts in tables]
        self._models = [stream.model.Categorical(counts.astype(np.float64), perfect=False) for _, counts in tables]

    def rounded(self, latents: Floats) -> tuple[Whole, int]:
        """Return latents (B, D) as whole numbers, and how many of them lay beyond the code and were moved into it.

        Of the two nearest numbers that is taken with the smaller squared error plus `TRADE` times its bits.

        Raises:
            GenlabError: NaN or Inf in the latents.
        """
        if not np.isfinite(latents).all():
            raise GenlabError("the model gives latents that are NaN or Inf, which cannot be compressed.")
        scaled = (latents - self.scales.location) / self.scales.unit / np.float32(self.step)
        found, beyond = np.empty(scaled.shape, np.int64), 0
        for at, column in enumerate(scaled.T):
            lowest, prices = self.lowest[at], self.prices[at]
            inside = np.clip(column, lowest, lowest + len(prices) - 1)
            beyond += int((np.abs(inside - column) > 1).sum())
            below = np.minimum(np.floor(inside).astype(np.int64), lowest + len(prices) - 2)
            rest = inside - below
            dearer = TRADE * (prices[below + 1 - lowest] - prices[below - lowest])
            found[:, at] = below + ((1 - rest) ** 2 + dearer < rest**2)
        return found, beyond

    def restored(self, rounded: Whole) -> Floats:
        """Return the latents (B, D) that whole numbers stand for."""
        values: Floats = (rounded * np.float32(self.step) * self.scales.unit + self.scales.location).astype(
            np.float32
        )
        return values

    def pack(self, symbols: Whole) -> bytes:
        """Return whole numbers (B, D), or (B, D + 1) with the class, as bytes."""
        from constriction import stream

        coder = stream.queue.RangeEncoder()
        for column, lowest, model in zip(symbols.T, self.lowest, self._models, strict=True):
            coder.encode((column - lowest).astype(np.int32), model)
        return bytes(coder.get_compressed().astype("<u4").tobytes())

    def unpack(self, data: bytes, count: int) -> Whole:
        """Return the whole numbers of `count` pictures that `pack` has made bytes of.

        Raises:
            DataError: bytes that it cannot have made.
        """
        from constriction import stream

        if len(data) % 4:
            raise DataError("its coded latents are no whole words")
        coder = stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
        try:
            columns = [
                coder.decode(model, count).astype(np.int64) + lowest
                for model, lowest in zip(self._models, self.lowest, strict=True)
            ]
        except (AssertionError, ValueError) as error:
            raise DataError(f"its coded latents cannot be read: {printable(str(error))}") from error
        return np.stack(columns, 1)
