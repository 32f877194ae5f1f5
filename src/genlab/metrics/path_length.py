"""Perceptual path length: how smoothly images change with the latent.

References:
    Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for Generative Adversarial Networks.
    arXiv:1812.04948, section 4.1.
"""

from collections.abc import Callable

from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.core.latents import slerp
from genlab.metrics.estimate import Estimate

EPSILON = 1e-3


def path_length(
    features: Callable[[Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    places: Tensor,
    epsilon: float = EPSILON,
) -> Estimate:
    """E ‖f(G(z_t)) − f(G(z_{t+ε}))‖² / ε² along great circles between latents, and its standard error.

    Features come from the extractor that the figure names, not from the network of the paper, so values are
    comparable only among each other. Images must not be rounded to bytes before: the steps are too small.

    Args:
        features: maps latents (B, latent) to the features of their images, (B, D).
        starts: latents, (N, latent).
        ends: latents, (N, latent).
        places: t in [0, 1], (N,).
        epsilon: ε.

    Raises:
        GenlabError: fewer than two paths.
    """
    if len(starts) < 2:
        raise GenlabError(f"the path length needs 2 paths or more, not {len(starts)}")
    one, two = (features(slerp(starts, ends, t)) for t in (places, places + epsilon))
    squares = (one.double() - two.double()).square().sum(1) / epsilon**2
    return Estimate(float(squares.mean()), float(squares.std()) / len(squares) ** 0.5)
