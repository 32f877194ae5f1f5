"""Divergences between distributions that have a closed form."""

from torch import Tensor


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − log σ² − 1), per dimension, in nats.

    Args:
        mean: μ, (B, latent).
        log_variance: log σ², (B, latent).

    References:
        Kingma and Welling, 2013. Auto-Encoding Variational Bayes, appendix B. arXiv:1312.6114.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)
