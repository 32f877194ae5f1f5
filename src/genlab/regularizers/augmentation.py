"""Differentiable augmentation of the discriminator's inputs, real and generated images alike.

Each image is augmented randomly and independently. The generator's gradient passes through the augmentation, so
that it learns the data and not the augmentation. Ranges are those of the authors' code, for images in [-1, 1].

References:
    Zhao et al., 2020. Differentiable Augmentation for Data-Efficient GAN Training. arXiv:2006.10738.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from genlab.core.random import Draws

FARTHEST = 1 / 8  # largest translation, as a fraction of the side
LARGEST = 1 / 2  # side of the cut-out square, as a fraction of the side


def diff_augment(images: Tensor, draws: Draws, policy: Sequence[str], probability: float = 1.0) -> Tensor:
    """Apply the augmentations in `policy`, names in `AUGMENTATIONS`, to images (B, C, H, W), one after another.

    Each image is augmented with this probability, else it stays as it is.
    """
    augmented = images
    for name in policy:
        augmented = AUGMENTATIONS[name](augmented, draws)
    return augmented if probability == 1 else augmented.where(draws.uniform(1, 1, 1) < probability, images)


def _color(images: Tensor, draws: Draws) -> Tensor:
    """Shift brightness by ± ½, scale saturation by 0 to 2 about each pixel's mean, and contrast by ½ to 3/2."""
    images = images + draws.uniform(1, 1, 1) - 0.5
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * 2 * draws.uniform(1, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + draws.uniform(1, 1, 1))


def _translation(images: Tensor, draws: Draws) -> Tensor:
    """Shift by a whole number of pixels, up to 1/8 of the side, in each direction; new pixels are 0."""
    for dim in (2, 3):
        farthest = _rounded(images.shape[dim], FARTHEST)
        images = _moved(images, _integers(draws, 2 * farthest + 1) - farthest, dim)
    return images


def _cutout(images: Tensor, draws: Draws) -> Tensor:
    """Set a square of half the side to 0; its centre is anywhere in the image."""
    rows, columns = (_cut(images.shape[dim], draws) for dim in (2, 3))
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _moved(images: Tensor, shifts: Tensor, dim: int) -> Tensor:
    """Shift each image by its number of pixels along `dim`."""
    side = images.shape[dim]
    source = torch.arange(side, device=images.device) - shifts[:, None]
    shape = (len(images), 1, side, 1) if dim == 2 else (len(images), 1, 1, side)
    outside = ((source < 0) | (source >= side)).view(shape)
    index = source.clamp(0, side - 1).view(shape).expand_as(images)
    return images.gather(dim, index).masked_fill(outside, 0.0)


def _cut(side: int, draws: Draws) -> Tensor:
    """Return which of `side` pixels are cut out of each image, (B, side)."""
    size = _rounded(side, LARGEST)
    # The centre of a square of even size is between pixels, so it has one more possible position.
    first = _integers(draws, side + 1 - size % 2) - size // 2
    place = torch.arange(side, device=first.device) - first[:, None]
    return (place >= 0) & (place < size)


def _integers(draws: Draws, choices: int) -> Tensor:
    """Return random integers from 0 to `choices` − 1, (B,)."""
    return (draws.uniform() * choices).long()


def _rounded(side: int, ratio: float) -> int:
    return int(side * ratio + 0.5)


AUGMENTATIONS: Mapping[str, Callable[[Tensor, Draws], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}

POLICIES: Mapping[str, tuple[str, ...]] = {
    "translation": ("translation",),
    "translation-cutout": ("translation", "cutout"),
    "color-translation": ("color", "translation"),
    "color-translation-cutout": ("color", "translation", "cutout"),
}
