"""Divergences between distributions, in closed form."""

from torch import Tensor

from genlab.core.distributed import all_reduce_mean


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − log σ² − 1), per dimension, in nats.

    Args:
        mean: μ, (B, latent).
        log_variance: log σ², (B, latent).

    References:
        Kingma and Welling, 2013. Auto-Encoding Variational Bayes, appendix B. arXiv:1312.6114.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def free_bits(kl: Tensor, floor: float) -> Tensor:
    """Σ_j max(floor, E[kl_j]): reducing the mean KL of a dimension below `floor` does not lower the loss.

    The mean is over the batch of all processes.

    Args:
        kl: per image and dimension, (B, latent), in nats.
        floor: λ, in nats per dimension.

    Returns:
        A scalar, in nats.

    References:
        Kingma et al., 2016. Improving Variational Inference with Inverse Autoregressive Flow, equation 15.
        arXiv:1606.04934.
    """
    return all_reduce_mean(kl.mean(0)).clamp_min(floor).sum()
