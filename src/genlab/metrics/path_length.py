"""How smoothly images change with the latent.

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
    decode: Callable[[Tensor], Tensor],
    features: Callable[[Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    places: Tensor,
    epsilon: float = EPSILON,
) -> Estimate:
    """E ‖f(G(z_t)) − f(G(z_{t+ε}))‖² / ε² along great circles between latents, and its standard error.

    Features come from the extractor that is named with the figure, not from the network of the paper, so that it
    compares models of one table. Images must not be rounded to bytes on the way: the steps are small.

    Args:
        decode: latents (B, latent) to images.
        features: images to features (B, D).
        starts: latents (N, latent).
        ends: latents (N, latent).
        places: t in [0, 1], (N,).
        epsilon: ε.

    Raises:
        GenlabError: fewer than two paths.
    """
    if len(starts) < 2:
        raise GenlabError(f"the path length needs 2 paths or more, not {len(starts)}")
    here, there = (features(decode(slerp(starts, ends, t))) for t in (places, places + epsilon))
    squares = (here.double() - there.double()).square().sum(1) / epsilon**2
    return Estimate(float(squares.mean()), float(squares.std()) / len(squares) ** 0.5)
