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
SMALLEST = 32  # sides of images whose spectrum has enough frequencies
GREY_LEVELS = 127.5  # in a range of 1


def pattern_variance(images: Tensor) -> Tensor:
    """Return the variance of the periodic patterns of images (B, C, H, W) in [-1, 1], in squared grey levels.

    It is the sum of the power near multiples of 1/2 and 1/4 cycles per pixel above the mean of the ring around
    each of them, averaged over images and channels, under a Hann window. In photographs, whose spectrum falls, it
    is about 0.
    """
    height, width = images.shape[2:]
    window = _hann(height, images)[:, None] * _hann(width, images)
    centred = (images - images.mean((2, 3), keepdim=True)) * window
    power = fft2(centred.float()).abs().square().mean((0, 1))
    down, across = (fftfreq(side, device=images.device).abs() for side in (height, width))
    found = power.new_zeros(())
    for y, x in _frequencies():
        distance = torch.maximum((down[:, None] - y).abs(), (across - x).abs())
        usual = power[(distance > RING[0]) & (distance <= RING[1])].mean()
        found = found + (power[distance <= NEAR] - usual).clamp_min(0).sum()
    variance: Tensor = GREY_LEVELS**2 * found / (height * width * window.square().sum())
    return variance


def _frequencies() -> list[tuple[float, float]]:
    """Return the frequencies (vertical, horizontal) of the strides, without 0 and without mirrored ones."""
    found = {(y / s, x / s) for s in STRIDES for y, x in product(range(s // 2 + 1), repeat=2)}
    return sorted(found - {(0.0, 0.0)})


def _hann(side: int, like: Tensor) -> Tensor:
    return torch.hann_window(side, periodic=False, device=like.device)
