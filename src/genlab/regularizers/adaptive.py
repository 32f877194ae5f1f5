"""Augmentation of the discriminator's inputs with a probability that follows how much the discriminator overfits.

Every operation is applied to each image with the same probability p, which starts at 0. Below p = 1 each operation
is invertible as one of distributions: only the data themselves, augmented, look like augmented data, so that the
generator does not learn the augmentation. Published limits: up to p ≈ 0.8 it does not leak in practice.

References:
    Karras et al., 2020. Training Generative Adversarial Networks with Limited Data, section 3 and appendix B.
    arXiv:2006.06676.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from genlab.core.distributed import all_reduce_mean, world_size
from genlab.core.random import Draws

HIGHEST = 0.8  # probability; above it augmentations may leak into what is generated
IMAGES = 500_000  # over which the probability can rise from 0 to 1, as published
MEMORY = 0.9  # of the running mean of r; published: the mean of four batches
FARTHEST = 1 / 8  # deviation, and largest shift by whole pixels, as a fraction of the side


@dataclass(eq=False)
class AdaptiveAugmentation:
    """Augments images with the probability p, which rises while r = E[sign D(x)] exceeds a target, else falls.

    r is 0 for a discriminator that cannot tell real images apart, and 1 for one that recognises each of them.

    Args:
        target: of r.
        device: of p and r.
    """

    target: float
    device: torch.device | str = "cpu"
    probability: Tensor = field(init=False)
    overfitting: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.probability = torch.zeros((), device=self.device)
        self.overfitting = torch.zeros((), device=self.device)

    @property
    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint has to save."""
        return {"augmentation_probability": self.probability, "overfitting": self.overfitting}

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return images (B, C, H, W), each augmented."""
        return augmented(images, self.probability, draws)

    @torch.no_grad()
    def observe(self, scores: Tensor, images: int) -> None:
        """Adjust p by the scores (n,) of `images` real images of this process."""
        self.overfitting.lerp_(all_reduce_mean(scores.detach().sign().mean()), 1 - MEMORY)
        self.probability += (self.overfitting - self.target).sign() * images * world_size() / IMAGES
        self.probability.clamp_(0, HIGHEST)


def augmented(images: Tensor, probability: Tensor, draws: Draws) -> Tensor:
    """Return images (B, C, H, W) in [-1, 1], moved and recoloured: the published operations without filters."""
    return _recoloured(_moved(images, probability, draws), probability, draws)


class _Chance:
    """Draws the values of an operation, and its neutral value where it is not applied."""

    def __init__(self, probability: Tensor, draws: Draws) -> None:
        self.probability, self.draws = probability, draws

    def normal(self, deviation: float) -> Tensor:
        """Return draws (B,) from N(0, deviation²), or 0."""
        return self._applied(deviation * self.draws.normal(), self.probability)

    def uniform(self, largest: float, probability: Tensor | None = None) -> Tensor:
        """Return draws (B,) from U(−largest, largest), or 0."""
        chosen = self.probability if probability is None else probability
        return self._applied(largest * (2 * self.draws.uniform() - 1), chosen)

    def integer(self, choices: int) -> Tensor:
        """Return whole numbers (B,) from 0 to `choices` − 1 as floats, or 0."""
        return self._applied((self.draws.uniform() * choices).floor(), self.probability)

    def _applied(self, values: Tensor, probability: Tensor) -> Tensor:
        return values * (self.draws.uniform() < probability)


def _moved(images: Tensor, probability: Tensor, draws: Draws) -> Tensor:
    """Mirror, turn, shift and scale; what lies outside is the reflection of what is inside.

    Turns by any angle come before and after the stretching, each with probability 1 − √(1 − p): p for either.
    """
    chance, (height, width) = _Chance(probability, draws), images.shape[2:]
    either = 1 - (1 - probability).sqrt()
    sides = torch.tensor([width, height], device=images.device) / height  # lengths are in halves of the height
    one, ratio = torch.ones(len(images), device=images.device), sides[:1].expand(len(images))
    pixels = [2 * (chance.uniform(FARTHEST) * side).round() / height for side in (width, height)]
    operations = [
        _scale(1 - 2 * chance.integer(2), one),
        _turn(chance.integer(4) * math.pi / 2),
        _shift(*pixels),
        _scale(size := torch.exp2(chance.normal(0.2)), size),
        _turn(chance.uniform(math.pi, either)),
        _scale(stretched := torch.exp2(chance.normal(0.2)), 1 / stretched),
        _turn(chance.uniform(math.pi, either)),
        _shift(*(2 * side * chance.normal(FARTHEST) for side in sides)),
    ]
    place = reduce(torch.matmul, [_scale(1 / ratio, one), *operations, _scale(ratio, one)])
    grid = affine_grid(place[:, :2], list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recoloured(images: Tensor, probability: Tensor, draws: Draws) -> Tensor:
    """Change brightness and contrast, invert brightness, and in colour images change hue and saturation."""
    chance = _Chance(probability, draws)
    shift, contrast = chance.normal(0.2), torch.exp2(chance.normal(0.5))
    inverted, hue, saturation = chance.integer(2), chance.uniform(math.pi), torch.exp2(chance.normal(1.0))
    images = (images + _each(shift)) * _each(contrast)
    if images.shape[1] != 3:
        return images * _each(1 - 2 * inverted)
    grey = images.mean(1, keepdim=True)
    colour = saturation[:, None, None] * _hue(hue)  # of what is beside grey
    return grey * _each(1 - 2 * inverted) + torch.einsum("bij,bjhw->bihw", colour, images - grey)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _scale(x: Tensor, y: Tensor) -> Tensor:
    no, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[x, no, no], [no, y, no], [no, no, one]])


def _shift(x: Tensor, y: Tensor) -> Tensor:
    no, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[one, no, x], [no, one, y], [no, no, one]])


def _turn(angle: Tensor) -> Tensor:
    no, one, cos, sin = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _matrix([[cos, -sin, no], [sin, cos, no], [no, no, one]])


def _hue(angle: Tensor) -> Tensor:
    """Return rotations (B, 3, 3) of red, green and blue about grey, by Rodrigues' formula."""
    axis = torch.full((3,), 3**-0.5, device=angle.device)
    no = torch.zeros_like(axis[0])
    cross = torch.stack([no, -axis[2], axis[1], axis[2], no, -axis[0], -axis[1], axis[0], no]).view(3, 3)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * torch.eye(3, device=angle.device) + sin * cross + (1 - cos) * torch.outer(axis, axis)
