"""Corruptions of images, which a denoising autoencoder learns to undo.

Each is `(images, draws, level) -> images` for images (B, C, H, W) in [-1, 1].

References:
    Vincent et al., 2010. Stacked Denoising Autoencoders, section 3.3. JMLR 11.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.random import Draws

Corruption: TypeAlias = Callable[[Tensor, Draws, float], Tensor]

BLACK, WHITE = -1.0, 1.0
CLIPPED = 0.5  # share of the images of `gaussian_levels`


def gaussian(images: Tensor, draws: Draws, level: float | Tensor) -> Tensor:
    """Return x + 2·level·ε, ε ~ N(0, 1): `level` is the standard deviation on a scale from black 0 to white 1."""
    return images + (WHITE - BLACK) * level * draws.normal(*images.shape[1:])


def gaussian_levels(images: Tensor, draws: Draws, level: float) -> Tensor:
    """Return `gaussian` with a level from 0 to `level` for each image, drawn uniformly.

    A half of the images is clipped to black and white, as files are.
    """
    each = (1, *[1] * (images.ndim - 2))
    noisy = gaussian(images, draws, level * draws.uniform(*each))
    return torch.where(draws.uniform(*each) < CLIPPED, noisy.clamp(BLACK, WHITE), noisy)


def masking(images: Tensor, draws: Draws, level: float) -> Tensor:
    """Return images in which each pixel is black, in all channels, with probability `level`."""
    return images.masked_fill(_uniform_of_pixels(images, draws) < level, BLACK)


def salt_and_pepper(images: Tensor, draws: Draws, level: float) -> Tensor:
    """Return images in which each pixel is black or white, with probability `level`/2 each."""
    chance = _uniform_of_pixels(images, draws)
    return images.masked_fill(chance < level, WHITE).masked_fill(chance < level / 2, BLACK)


def _uniform_of_pixels(images: Tensor, draws: Draws) -> Tensor:
    """Return one uniform draw for each pixel, the same for all channels, (B, 1, H, W)."""
    return draws.uniform(1, *images.shape[2:])


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian": gaussian,
    "gaussian-levels": gaussian_levels,
    "masking": masking,
    "salt-and-pepper": salt_and_pepper,
}
