"""Differentiable augmentation: what a discriminator sees of real and of generated images alike.

Every image is changed in its own way. The generator's gradient passes through the change, so that it learns the
images and not their augmentations. Ranges are those of the authors' code, for images in [-1, 1].

References:
    Zhao et al., 2020. Differentiable Augmentation for Data-Efficient GAN Training. arXiv:2006.10738.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from genlab.core.random import Draws

FARTHEST = 1 / 8  # translation, of the side
LARGEST = 1 / 2  # the cut-out square's side, of the image's


def diff_augment(images: Tensor, draws: Draws, policy: Sequence[str]) -> Tensor:
    """Return images (B, C, H, W) changed by each of `policy` in turn, names of `AUGMENTATIONS`."""
    for name in policy:
        images = AUGMENTATIONS[name](images, draws)
    return images


def _color(images: Tensor, draws: Draws) -> Tensor:
    """Brightness ± ½, then saturation by 0 to 2 about the pixel's mean, contrast by ½ to 3/2 about the image's."""
    images = images + draws.uniform(1, 1, 1) - 0.5
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * 2 * draws.uniform(1, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + draws.uniform(1, 1, 1))


def _translation(images: Tensor, draws: Draws) -> Tensor:
    """A whole number of pixels, up to 1/8 of the side, in each direction; what comes in is 0."""
    for dim in (2, 3):
        farthest = _share(images.shape[dim], FARTHEST)
        images = _moved(images, _whole(draws, 2 * farthest + 1) - farthest, dim)
    return images


def _cutout(images: Tensor, draws: Draws) -> Tensor:
    """0 in a square of half the side, whose centre is anywhere in the image."""
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
    size = _share(side, LARGEST)
    # A square of even size has its centre between pixels, so that there is one place more.
    first = _whole(draws, side + 1 - size % 2) - size // 2
    place = torch.arange(side, device=first.device) - first[:, None]
    return (place >= 0) & (place < size)


def _whole(draws: Draws, choices: int) -> Tensor:
    """Return whole numbers from 0 to `choices` − 1, (B,)."""
    return (draws.uniform() * choices).long()


def _share(side: int, ratio: float) -> int:
    return int(side * ratio + 0.5)


AUGMENTATIONS: Mapping[str, Callable[[Tensor, Draws], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}

POLICIES: Mapping[str, tuple[str, ...]] = {
    "translation": ("translation",),
    "translation-cutout": ("translation", "cutout"),
    "color-translation-cutout": ("color", "translation", "cutout"),
}
