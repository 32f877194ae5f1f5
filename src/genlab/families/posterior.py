"""The Gaussian posterior of a VAE, and signals of how much the latent is used.

References:
    Kingma and Welling, 2013. Auto-Encoding Variational Bayes. arXiv:1312.6114.
    Burda, Grosse and Salakhutdinov, 2015. Importance Weighted Autoencoders. arXiv:1509.00519.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.core.contract import Signals
from genlab.core.distributed import all_reduce_mean_
from genlab.objectives.divergence import gaussian_kl

ACTIVE = 0.01  # variance over examples above which the posterior mean of a dimension is active (Burda et al.)


@dataclass(frozen=True)
class Posterior:
    """q(z | x) = N(mean, exp(log_variance)), diagonal; both (B, latent)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Return z = μ + σ·ε for standard normal noise ε (..., B, latent), differentiable in μ and σ."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def kl(self) -> Tensor:
        """Return KL(q(z | x) ‖ N(0, 1)) per dimension in nats, (B, latent)."""
        return gaussian_kl(self.mean, self.log_variance)

    def log_ratio(self, noise: Tensor) -> Tensor:
        """Return log p(z) − log q(z | x) at z = `sample(noise)`, (..., B); its mean over the noise is −KL."""
        return 0.5 * (noise.square() + self.log_variance - self.sample(noise).square()).sum(-1)


@torch.no_grad()
def usage(posterior: Posterior) -> Signals:
    """Return signals of how much the latent is used; a collapsed dimension has μ = 0, σ = 1 and KL 0.

    - posterior_mean: mean of |μ|;
    - posterior_std: mean of σ;
    - aggregate_variance: var μ + E σ², the variance of z over examples and draws, averaged over dimensions; the
      prior's is 1;
    - active_units: number of dimensions whose μ has a variance above `ACTIVE` over the batch;
    - kl: mean KL of each dimension in nats, (latent,).
    """
    variance = posterior.log_variance.exp()
    mean, squared, within = all_reduce_mean_(
        torch.stack([posterior.mean.mean(0), posterior.mean.square().mean(0), variance.mean(0)])
    )
    between = squared - mean.square()
    return {
        "posterior_mean": posterior.mean.abs().mean(),
        "posterior_std": (0.5 * posterior.log_variance).exp().mean(),
        "aggregate_variance": (between + within).mean(),
        "active_units": (between > ACTIVE).float().sum(),
        "kl": posterior.kl().mean(0),
    }
