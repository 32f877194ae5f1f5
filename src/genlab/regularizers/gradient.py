"""Penalties on the gradient of a discriminator's scores with respect to images.

Each is `(score, real, fake, draws) -> scalar`, without its weight. The gradient of a score is taken with respect
to all pixels that it was computed from: those of an image, or of all images of a pack. Penalties are
differentiable: the discriminator learns from them, and the generator too if its images carry their graph.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.distributed import all_reduce_mean
from genlab.core.random import Draws

Score: TypeAlias = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to scores (n,), where n divides B and each score belongs to B / n consecutive images."""

Penalty: TypeAlias = Callable[[Score, Tensor, Tensor, Draws], Tensor]


def _gradients(score: Score, images: Tensor) -> Tensor:
    """Return the gradient of each score with respect to its own images, (n, pixels)."""
    if not images.requires_grad:
        images = images.detach().requires_grad_()
    scores = score(images)
    gradient: Tensor = torch.autograd.grad(scores.sum(), images, create_graph=True)[0]
    return gradient.reshape(len(scores), -1)


def _distance_from_one(gradients: Tensor) -> Tensor:
    """E[(‖∇‖₂ − 1)²]."""
    squares = gradients.square().sum(1)
    # √0 has an infinite derivative, which would give NaN for a constant discriminator; here the derivative is 0.
    norms = squares.where(squares > 0, 1.0).sqrt().where(squares > 0, 0.0)
    return (norms - 1).square().mean()


def wgan_gp(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] at x̂ = x + u (G(z) − x), with one u uniform on [0, 1) for each image.

    Args:
        score: maps images to scores.
        real: real images, (B, C, H, W).
        fake: generated images, (B, C, H, W).
        draws: for B rows.

    References:
        Gulrajani et al., 2017. Improved Training of Wasserstein GANs, algorithm 1. arXiv:1704.00028.
    """
    return _distance_from_one(_gradients(score, real + _each(real, draws) * (fake - real)))


def r1(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """½ E[‖∇D(x)‖²] at real images.

    References:
        Mescheder, Geiger and Nowozin, 2018. Which Training Methods for GANs do actually Converge?, equation 9.
        arXiv:1801.04406.
    """
    return 0.5 * _gradients(score, real).square().sum(1).mean()


def r2(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """½ E[‖∇D(G(z))‖²] at generated images.

    References:
        Mescheder, Geiger and Nowozin, 2018. Which Training Methods for GANs do actually Converge?, equation 10.
        arXiv:1801.04406.
    """
    return 0.5 * _gradients(score, fake).square().sum(1).mean()


def dragan(score: Score, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
    """E[(‖∇D(x̂)‖₂ − 1)²] around real images, at x̂ = x + α·½·s·u.

    u is uniform on [0, 1) for each pixel, α for each image, and s is the standard deviation of all pixels in the
    batch of all processes. The paper has x + δ with δ ~ N(0, cI); this follows its authors' code.

    References:
        Kodali et al., 2017. On Convergence and Stability of GANs, algorithm 1. arXiv:1705.07215.
    """
    deviation = all_reduce_mean((real - all_reduce_mean(real.mean())).square().mean()).sqrt()
    noise = 0.5 * deviation * draws.uniform(*real.shape[1:])
    return _distance_from_one(_gradients(score, real + _each(real, draws) * noise))


def _each(x: Tensor, draws: Draws) -> Tensor:
    """Return a uniform draw for each example, which broadcasts to `x` (B, …)."""
    return draws.uniform(*[1] * (x.ndim - 1))


PENALTIES: Mapping[str, Penalty] = {"wgan-gp": wgan_gp, "r1": r1, "r2": r2, "dragan": dragan}


def weighted(weight: float, penalty: Penalty) -> Penalty:
    """Return `weight` times a penalty."""
    return lambda score, real, fake, draws: weight * penalty(score, real, fake, draws)
