"""Penalties on the slope of a discriminator's scores over the space of images.

Each is `(score, real, fake, draws) -> scalar`, without its weight. The slope is that of one score by all the
pixels that it was made from: of an image, or of all images of a pack. The graph is kept, so that the discriminator
learns; and the generator too, where its images come with their graph.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.distributed import all_reduce_mean
from genlab.core.random import Draws

Score: TypeAlias = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to scores (n,), where n divides B and each score is of B / n consecutive images."""

Penalty: TypeAlias = Callable[[Score, Tensor, Tensor, Draws], Tensor]


def _slopes(score: Score, images: Tensor) -> Tensor:
    """Return ∇ of each score by its own images, (n, pixels)."""
    if not images.requires_grad:
        images = images.detach().requires_grad_()
    scores = score(images)
    gradient: Tensor = torch.autograd.grad(scores.sum(), images, create_graph=True)[0]
    return gradient.reshape(len(scores), -1)


def _distance_from_one(slopes: Tensor) -> Tensor:
    """E[(‖∇‖₂ − 1)²]."""
    squares = slopes.square().sum(1)
    # √0 has an infinite slope, which would make NaN of a flat discriminator; here it has slope 0.
    norms = squares.where(squares > 0, 1.0).sqrt().where(squares > 0, 0.0)
    return (norms - 1).square().mean()


def wgan_gp(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] at x̂ = x + u (G(z) − x), u uniform on [0, 1), one for each image.

    Args:
        score: of a discriminator.
        real: images, (B, C, H, W).
        fake: as many generated ones.
        draws: for B rows.

    References:
        Gulrajani et al., 2017. Improved Training of Wasserstein GANs, algorithm 1. arXiv:1704.00028.
    """
    return _distance_from_one(_slopes(score, real + _each(real, draws) * (fake - real)))


def r1(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """½ E[‖∇D(x)‖²] at real images.

    References:
        Mescheder, Geiger and Nowozin, 2018. Which Training Methods for GANs do actually Converge?, equation 9.
        arXiv:1801.04406.
    """
    return 0.5 * _slopes(score, real).square().sum(1).mean()


def r2(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """½ E[‖∇D(G(z))‖²] at generated images.

    References:
        Mescheder, Geiger and Nowozin, 2018. Which Training Methods for GANs do actually Converge?, equation 10.
        arXiv:1801.04406.
    """
    return 0.5 * _slopes(score, fake).square().sum(1).mean()


def dragan(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] around real images, at x̂ = x + α·½·s·u.

    u is uniform on [0, 1) for each pixel, α for each image, and s the standard deviation of all pixels of the
    batch, all processes' rows together. The paper writes x + δ with δ ~ N(0, cI); this is its authors' code.

    References:
        Kodali et al., 2017. On Convergence and Stability of GANs, algorithm 1. arXiv:1705.07215.
    """
    deviation = all_reduce_mean((real - all_reduce_mean(real.mean())).square().mean()).sqrt()
    noise = 0.5 * deviation * draws.uniform(*real.shape[1:])
    return _distance_from_one(_slopes(score, real + _each(real, draws) * noise))


def _each(x: Tensor, draws: Draws) -> Tensor:
    """Return a uniform draw for each example, to be multiplied with `x` (B, …)."""
    return draws.uniform(*[1] * (x.ndim - 1))


PENALTIES: Mapping[str, Penalty] = {"wgan-gp": wgan_gp, "r1": r1, "r2": r2, "dragan": dragan}
