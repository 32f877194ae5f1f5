"""Checkerboard patterns: energy at the frequencies of the strides by which a generator enlarges its maps.

References:
    Odena, Dumoulin and Olah, 2016. Deconvolution and Checkerboard Artifacts. distill.pub.
"""

from itertools import product

import torch
from torch import Tensor
from torch.fft import fft2, fftfreq

STRIDES = (2, 4)
NEAR, RING = 1 / 32, (1 / 16, 3 / 16)  # distances to a stride's frequency, in cycles per pixel
ROUNDING = (1 / 127.5) ** 2 / 12  # variance of the error of rounding to bytes
SMALLEST = 16  # sides of images whose spectrum has enough frequencies


def lattice_energy(images: Tensor) -> Tensor:
    """Return how far the power of images (B, C, H, W) rises at the frequencies of strides, (frequencies,).

    Each number is the mean power near a multiple of 1/2 or 1/4 cycles per pixel, divided by that in the ring
    around it. The power spectrum is averaged over images and channels, under a Hann window; it includes that of
    rounding to bytes, so that patterns which nobody can see do not count. Photographs have values below about 1.
    """
    height, width = images.shape[2:]
    window = _hann(height, images)[:, None] * _hann(width, images)
    centred = (images - images.mean((2, 3), keepdim=True)) * window
    power = fft2(centred.float()).abs().square().mean((0, 1)) + ROUNDING * window.square().sum()
    down, across = (fftfreq(side, device=images.device).abs() for side in (height, width))
    ratios = []
    for y, x in _frequencies():
        distance = torch.maximum((down[:, None] - y).abs(), (across - x).abs())
        ring = power[(distance > RING[0]) & (distance <= RING[1])].mean()
        ratios.append(power[distance <= NEAR].mean() / ring)
    return torch.stack(ratios)


def _frequencies() -> list[tuple[float, float]]:
    """Return the frequencies (vertical, horizontal) of the strides, without 0 and without mirrored ones."""
    found = {(y / s, x / s) for s in STRIDES for y, x in product(range(s // 2 + 1), repeat=2)}
    return sorted(found - {(0.0, 0.0)})


def _hann(side: int, like: Tensor) -> Tensor:
    return torch.hann_window(side, periodic=False, device=like.device)
