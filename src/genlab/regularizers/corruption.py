"""Corruptions of images, which a denoising autoencoder learns to undo.

Each is `(images, draws, level) -> images` for images (B, C, H, W) in [-1, 1].

References:
    Vincent et al., 2010. Stacked Denoising Autoencoders, section 3.3. JMLR 11.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor

from genlab.core.random import Draws

Corruption: TypeAlias = Callable[[Tensor, Draws, float], Tensor]

BLACK, WHITE = -1.0, 1.0


def gaussian(images: Tensor, draws: Draws, level: float) -> Tensor:
    """Return x + 2·level·ε, ε ~ N(0, 1): `level` is the standard deviation on a scale from black 0 to white 1."""
    return images + (WHITE - BLACK) * level * draws.normal(*images.shape[1:])


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
    "masking": masking,
    "salt-and-pepper": salt_and_pepper,
}
