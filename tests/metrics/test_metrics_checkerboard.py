"""The variance of periodic patterns is that of the pattern, not that of the images beneath it."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.metrics.checkerboard import GREY_LEVELS, SMALLEST, pattern_variance

AMPLITUDE = 6 / GREY_LEVELS  # of six grey levels


def coloured_noise(side: int, exponent: float = 1.2, channels: int = 3, count: int = 32) -> Tensor:
    """Return noise whose amplitudes fall with frequency, as those of photographs do."""
    noise = torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(side))
    down, across = torch.fft.fftfreq(side)[:, None], torch.fft.fftfreq(side)[None]
    fall = (down.square() + across.square()).sqrt().clamp_min(1 / side) ** -exponent
    images = torch.fft.ifft2(torch.fft.fft2(noise) * fall).real
    return (images / images.std() / 3).clamp(-1, 1)


def smooth(side: int) -> Tensor:
    coarse = torch.rand(16, 3, 4, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    return interpolate(coarse, size=side, mode="bicubic", align_corners=True)


def pattern(side: int, stride: int, across: bool) -> Tensor:
    """Return a cosine of a stride's frequency with a variance of 1, along one axis or both."""
    wave = torch.cos(2 * math.pi * torch.arange(side) / stride)
    wave = wave / wave.square().mean().sqrt()
    return wave[:, None] * wave if across else wave[:, None].expand(side, side)


@pytest.mark.parametrize("side", [SMALLEST, 64, 128])
@pytest.mark.parametrize(("stride", "across"), [(2, True), (2, False), (4, True), (4, False)])
def test_the_variance_of_a_pattern_is_measured(side: int, stride: int, across: bool) -> None:
    images = smooth(side)
    found = pattern_variance(images + AMPLITUDE * pattern(side, stride, across)) - pattern_variance(images)
    assert math.sqrt(found) == pytest.approx(6, rel=0.03 if side > SMALLEST else 0.15)


@pytest.mark.parametrize("side", [SMALLEST, 64, 128])
def test_pictures_whose_spectrum_falls_have_no_pattern(side: int) -> None:
    assert math.sqrt(pattern_variance(coloured_noise(side))) < 2


def test_flat_images_and_those_of_one_gradient_have_none() -> None:
    assert pattern_variance(torch.full((2, 1, 32, 32), 0.3)) == pytest.approx(0, abs=1e-6)
    ramp = torch.linspace(-1, 1, 32).expand(2, 1, 32, 32)
    assert math.sqrt(pattern_variance(ramp)) < 0.5


def test_white_noise_is_hardly_taken_for_a_pattern() -> None:
    """A grey level of noise has all frequencies alike; the sum over the strides keeps a small part of chance."""
    noise = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(1)) / GREY_LEVELS
    assert pattern_variance(noise) < 0.02


def test_images_need_not_be_square() -> None:
    images = smooth(64)[..., :32]
    found = pattern_variance(images + AMPLITUDE * pattern(64, 2, across=True)[:, :32])
    assert math.sqrt(found) == pytest.approx(6, rel=0.05)
