"""Similarity of pairs of images: of examples and reconstructions, and among samples.

References:
    Wang et al., 2004. Image Quality Assessment: From Error Visibility to Structural Similarity. IEEE TIP 13(4).
    Wang, Simoncelli and Bovik, 2003. Multi-Scale Structural Similarity for Image Quality Assessment.
    Odena, Olah and Shlens, 2017. Conditional Image Synthesis with Auxiliary Classifier GANs. arXiv:1610.09585:
    MS-SSIM between samples, as a measure of their diversity.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from genlab.core.batch import at_once
from genlab.core.errors import GenlabError
from genlab.core.random import generator

RANGE = 2.0  # of a pixel, from -1 to 1
WINDOW, SIGMA = 11, 1.5
LUMINANCE, CONTRAST = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
PAIRS, FEWEST = 1000, 10  # most pairs that `likeness` takes, and least of large images
NUMBERS = PAIRS * 3 * 96**2  # of all pairs together, because the time of a pair grows with its pixels


class Likeness(NamedTuple):
    """The mean similarity of pairs of images."""

    value: float
    pairs: int


def pairs_for(shape: Sequence[int]) -> int:
    """Return how many pairs of images of a shape (C, H, W) are compared at most: fewer of large ones."""
    return min(PAIRS, max(FEWEST, NUMBERS // prod(shape)))


def mse(one: Tensor, two: Tensor) -> Tensor:
    """Return the mean squared error per pixel of each pair of images (B, C, H, W) in [-1, 1], (B,)."""
    return (one - two).square().flatten(1).mean(1)


def l1(one: Tensor, two: Tensor) -> Tensor:
    """Return the mean absolute error per pixel of each pair of images (B, C, H, W) in [-1, 1], (B,)."""
    return (one - two).abs().flatten(1).mean(1)


def psnr(one: Tensor, two: Tensor) -> Tensor:
    """Return 10 log₁₀(4 / MSE) of each pair of images in [-1, 1] in dB, (B,); infinite where they are equal."""
    return decibels(mse(one, two))


def decibels(errors: Tensor) -> Tensor:
    """Return 10 log₁₀(4 / MSE) of mean squared errors of pixels in [-1, 1]."""
    return 10 * torch.log10(RANGE**2 / errors)


def ssim(one: Tensor, two: Tensor) -> Tensor:
    """Return the structural similarity of each pair of images (B, C, H, W) in [-1, 1], (B,); 1 where equal.

    Gaussian windows of 11 pixels with σ = 1.5 around every pixel, with mirrored borders; the mean over windows and
    channels.

    Raises:
        GenlabError: images smaller than the window.
    """
    _check(one, 1)
    similarity, _ = _compare(one, two)
    return similarity


def ms_ssim(one: Tensor, two: Tensor) -> Tensor:
    """Return the structural similarity over several scales of each pair of images in [-1, 1], (B,).

    Each scale is half the size of the previous one. Five scales need images of 176 pixels; smaller images have as
    many scales as the window fits into, with the published exponents rescaled to sum to 1.

    Raises:
        GenlabError: images smaller than the window.
    """
    _check(one, 1)
    weights = torch.tensor(SCALES[: scales(one)], dtype=one.dtype, device=one.device)
    parts = []
    for scale in range(len(weights)):
        if scale:
            one, two = avg_pool2d(one, 2), avg_pool2d(two, 2)
        similarity, contrast = _compare(one, two)
        parts.append(similarity if scale == len(weights) - 1 else contrast)
    return (torch.stack(parts, 1).clamp(min=0) ** (weights / weights.sum())).prod(1)


def scales(images: Tensor) -> int:
    """Return the number of scales of MS-SSIM that fit into images."""
    side = min(images.shape[2:])
    return sum(side // 2**scale >= WINDOW for scale in range(len(SCALES)))


def likeness(images: Tensor, labels: Tensor | None = None, *, pairs: int | None = None, seed: int = 0) -> Likeness:
    """Return the mean MS-SSIM of random pairs of images; with labels, both images of a pair are of one class.

    Lower means more diverse. Compare it with the value of real images: if it is far above, samples are too alike.
    If there are no more pairs than asked for, each is taken once.

    Args:
        images: (N, C, H, W) in [-1, 1], N ≥ 2.
        labels: (N,).
        pairs: most pairs; by default `pairs_for` their shape.
        seed: of the pairs.

    Raises:
        GenlabError: fewer than two images, or no class with two images, or images smaller than the window.
    """
    _check(images, 2)
    draws = generator(seed, "pairs")
    groups = [torch.arange(len(images))]
    if labels is not None:
        groups = [(labels.cpu() == label).nonzero().flatten() for label in torch.unique(labels.cpu())]
        groups = [group for group in groups if len(group) > 1]
        if not groups:
            raise GenlabError("MS-SSIM within classes needs 2 images or more of a class")
    pairs = pairs or pairs_for(images.shape[1:])
    if sum(len(group) * (len(group) - 1) // 2 for group in groups) <= pairs:
        rows = torch.cat([torch.combinations(group) for group in groups])
    else:
        drawn = torch.randint(len(groups), (pairs,), generator=draws).tolist()
        rows = torch.stack([groups[g][torch.randperm(len(groups[g]), generator=draws)[:2]] for g in drawn])
    each = min(100, at_once(images.shape[1:]))
    values = torch.cat([ms_ssim(images[part[:, 0]], images[part[:, 1]]) for part in torch.split(rows, each)])
    return Likeness(float(values.mean()), len(values))


def _compare(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of luminance·contrast·structure, and of contrast·structure without borders, (B,) each."""
    half = WINDOW // 2
    luminance, contrast = windows(
        *(pad(images, (half, half, half, half), mode="reflect") for images in (one, two))
    )
    inner = contrast[..., half:-half, half:-half]
    return (luminance * contrast).flatten(1).mean(1), inner.flatten(1).mean(1)


def windows(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Return luminance and contrast·structure of each window that lies inside of images (B, C, H, W)."""
    channels = one.shape[1]
    stacked = torch.cat([one, two, one * one, two * two, one * two], 1)
    mean_1, mean_2, square_1, square_2, cross = torch.split(_blur(stacked), channels, 1)
    spread = (square_1 - mean_1.square()).clamp(min=0) + (square_2 - mean_2.square()).clamp(min=0)
    contrast = (2 * (cross - mean_1 * mean_2) + CONTRAST) / (spread + CONTRAST)
    luminance = (2 * mean_1 * mean_2 + LUMINANCE) / (mean_1.square() + mean_2.square() + LUMINANCE)
    return luminance, contrast


def _blur(maps: Tensor) -> Tensor:
    """Return the Gaussian-weighted means of all windows, computed along one axis and then the other."""
    place = torch.arange(WINDOW, dtype=maps.dtype, device=maps.device) - WINDOW // 2
    weights = torch.exp(-(place**2) / (2 * SIGMA**2))
    weights = (weights / weights.sum()).expand(maps.shape[1], 1, 1, WINDOW)
    along = conv2d(maps, weights, groups=maps.shape[1])
    return conv2d(along, weights.transpose(2, 3), groups=maps.shape[1])


def _check(images: Tensor, least: int) -> None:
    if len(images) < least:
        raise GenlabError(f"structural similarity needs {least} images or more, not {len(images)}")
    if min(images.shape[2:]) < WINDOW:
        side = "×".join(map(str, images.shape[2:]))
        raise GenlabError(f"structural similarity needs images of {WINDOW} pixels or more, not {side}")
