"""Ways to spoil an image that a denoising autoencoder learns to mend.

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
    """Return x + 2·level·ε with ε ~ N(0, 1): `level` is the deviation on a scale from black 0 to white 1."""
    return images + (WHITE - BLACK) * level * draws.normal(*images.shape[1:])


def masking(images: Tensor, draws: Draws, level: float) -> Tensor:
    """Return the images with each pixel black, in all channels, with probability `level`."""
    return images.masked_fill(_of_pixels(images, draws) < level, BLACK)


def salt_and_pepper(images: Tensor, draws: Draws, level: float) -> Tensor:
    """Return the images with each pixel, with probability `level`, black or white by a fair coin."""
    chance = _of_pixels(images, draws)
    return images.masked_fill(chance < level, WHITE).masked_fill(chance < level / 2, BLACK)


def _of_pixels(images: Tensor, draws: Draws) -> Tensor:
    """Return uniform draws, one for all channels of a pixel, (B, 1, H, W)."""
    return draws.uniform(1, *images.shape[2:])


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian": gaussian,
    "masking": masking,
    "salt-and-pepper": salt_and_pepper,
}
