"""Measures of translations of images that are compared with their truth."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.metrics.similarity import RANGE, mse

ROUNDING = (RANGE / 255) ** 2 / 12  # the mean squared error of rounding to bytes
MOST, NUMBERS = 1000, 2**26  # translations that `retrieved` compares at most, and their numbers together


def untranslated(sources: Tensor, shape: Sequence[int]) -> Tensor:
    """Return sources (B, C, H, W) as if they were their own translations of a shape (C', H', W').

    Images of another size are resized, bicubic; if the channels differ, each channel is the mean of the source's.
    """
    channels, *sides = shape
    if sources.shape[1] != channels:
        sources = sources.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    if list(sources.shape[2:]) == sides:
        return sources
    return interpolate(sources, sides, mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)


def psnr_of_bytes(translations: Tensor, truths: Tensor) -> Tensor:
    """Return 10 log₁₀(4 / MSE) of each pair of images (B, C, H, W) in [-1, 1] in dB, (B,), at most 58.9.

    A smaller error than that of rounding to bytes counts as that: one source that equals its truth would make the
    mean over all pairs infinite.
    """
    return 10 * torch.log10(RANGE**2 / mse(translations, truths).clamp_min(ROUNDING))


def retrieved(translations: Tensor, truths: Tensor) -> Tensor:
    """Return whether the truth of each translation is the nearest of all truths, (N,) of 0 and 1.

    Nearest is by the L2 distance of pixels, (N, C, H, W); another truth that is equally near, such as a second
    copy, does not count against it.
    """
    one, two = translations.flatten(1).double(), truths.flatten(1).double()
    norms = two.square().sum(1)
    squared = one.square().sum(1, keepdim=True) + norms - 2 * one @ two.T
    rounding = 1e-10 * (1 + norms.max())
    return (squared.diagonal() <= squared.min(1).values + rounding).double()


def most_compared(shape: Sequence[int]) -> int:
    """Return how many translations of a shape `retrieved` may compare: 1,000, and fewer of large images."""
    return max(2, min(MOST, NUMBERS // prod(shape)))
