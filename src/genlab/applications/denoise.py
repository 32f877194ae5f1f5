"""Removes noise from pictures of any size: by a model, in tiles of its size that overlap, or by non-local means.

References:
    Buades, Coll and Morel, 2005. A Non-Local Algorithm for Image Denoising. CVPR: the baseline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.sample import by_row
from genlab.applications.tiles import Mosaic
from genlab.core.batch import at_once
from genlab.core.contract import Denoises, DrawsDenoised
from genlab.core.device import device_of
from genlab.core.pictures import Picture
from genlab.core.random import RowNoise

BYTE = 2 / 255  # the distance of neighbouring bytes in [-1, 1]
PATCH, DISTANCE, STRENGTH = 5, 6, 0.8  # pixels, pixels, and h/sigma of non-local means, as scikit-image advises


@dataclass(frozen=True)
class Noisy:
    """A picture with noise.

    Args:
        name: of the picture; draws depend on it.
        pixels: (C, H, W), about in [-1, 1].
        sigma: standard deviation of the noise, on the scale of 0 to 255.
    """

    name: str
    pixels: Tensor
    sigma: float


@dataclass(frozen=True)
class ByModel:
    """Removes noise by a model.

    Args:
        model: the model.
        tile: height and width of what it takes.
        seed: None for the mean of the clean pictures that a noisy one may come from, as far as the model knows it;
            a number for a draw of one of them.

    Raises:
        GenlabError: it does not denoise, or makes no draws.
    """

    model: nn.Module
    tile: tuple[int, int]
    seed: int | None = None

    def __post_init__(self) -> None:
        need(self.model, Denoises, "genlab denoise")
        if self.seed is not None:
            need(self.model, DrawsDenoised, "--draw")

    def __call__(self, given: Sequence[Noisy]) -> list[Picture]:
        """Return clean pictures in the sizes of the noisy ones; they are made many tiles at a time."""
        wholes = [_enlarged(noisy.pixels, self.tile) for noisy in given]
        mosaics = [Mosaic((whole.shape[1], whole.shape[2]), self.tile) for whole in wholes]
        places = [(number, at) for number, mosaic in enumerate(mosaics) for at in range(len(mosaic.corners))]
        most = at_once((1, *self.tile))
        for some in (places[start : start + most] for start in range(0, len(places), most)):
            tiles = []
            for number, at in some:
                top, left = mosaics[number].corners[at]
                tiles.append(wholes[number][:, top : top + self.tile[0], left : left + self.tile[1]])
            made = self._clean(torch.stack(tiles), [(given[number], at) for number, at in some])
            for (number, _), tile in zip(some, made, strict=True):
                mosaics[number].add(tile)
        return [
            mosaic.picture[: noisy.pixels.shape[1], : noisy.pixels.shape[2]]
            for mosaic, noisy in zip(mosaics, given, strict=True)
        ]

    def _clean(self, tiles: Tensor, of: Sequence[tuple[Noisy, int]]) -> Tensor:
        device = device_of(self.model)
        sigma = torch.tensor([BYTE * noisy.sigma for noisy, _ in of], device=device)
        if self.seed is None:
            return need(self.model, Denoises, "genlab denoise").denoise(tiles.to(device), sigma).float().cpu()
        rows = [(crc32(noisy.name.encode()) << 32) + at for noisy, at in of]
        draws, noise = need(self.model, DrawsDenoised, "--draw"), RowNoise(self.seed, "denoise", rows)
        with by_row(self.model):
            return draws.draw_denoised(tiles.to(device), sigma, generator=noise).float().cpu()


def _enlarged(pixels: Tensor, tile: tuple[int, int]) -> Tensor:
    """Return a picture (C, H, W), mirrored at the right and at the bottom if it is smaller than a tile."""
    missing = [max(0, side - length) for side, length in zip(tile, pixels.shape[1:], strict=True)]
    return torch.from_numpy(np.pad(pixels.numpy(), ((0, 0), *((0, more) for more in missing)), "symmetric"))


def non_local_means(noisy: Noisy, strength: float = STRENGTH) -> Picture | None:
    """Return a picture without noise by non-local means with h = strength·sigma; None without scikit-image."""
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError:
        return None
    pixels = np.moveaxis((noisy.pixels.double().numpy() + 1) * 127.5, 0, 2)
    clean = denoise_nl_means(
        pixels,
        patch_size=PATCH,
        patch_distance=DISTANCE,
        h=strength * max(noisy.sigma, 1e-3),
        sigma=noisy.sigma,
        fast_mode=False,
        channel_axis=-1,
    )
    made: Picture = np.asarray(clean).reshape(pixels.shape).round().clip(0, 255).astype(np.uint8)
    return made
