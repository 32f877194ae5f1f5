"""The variational autoencoder.

References:
    Kingma and Welling, 2013. Auto-Encoding Variational Bayes. arXiv:1312.6114.
    Higgins et al., 2017. beta-VAE. ICLR.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.descent import descend
from genlab.core.random import Randomness
from genlab.objectives.divergence import gaussian_kl
from genlab.objectives.reconstruction import Reconstruction


@dataclass(frozen=True)
class Posterior:
    """q(z | x) = N(mean, exp(log_variance)), diagonal; both (B, latent)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Return z = μ + σ·ε for standard normal noise ε, differentiable in μ and σ."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def kl(self) -> Tensor:
        """Return KL(q(z | x) ‖ N(0, 1)) per dimension in nats, (B, latent)."""
        return gaussian_kl(self.mean, self.log_variance)


class VAE(nn.Module):
    """An encoder that gives a posterior, a decoder, and the prior N(0, 1) over `latent` dimensions.

    The encoder has 2·latent outputs: means, then log-variances. `reconstruction` is −log p(x | z).
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, reconstruction: Reconstruction
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent
        self.reconstruction = reconstruction

    def posterior(self, images: Tensor) -> Posterior:
        """Return q(z | x) for images (B, C, H, W) in [-1, 1]."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return Posterior(mean, log_variance)

    def encode(self, images: Tensor) -> Tensor:
        """Return the posterior mean, (B, latent)."""
        return self.posterior(images).mean

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent)."""
        return torch.tanh(self.decoder(latents))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return the image of the posterior mean."""
        return self.decode(self.encode(images))

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from N(0, 1), (count, latent)."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=generator).to(device)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` images of latents drawn from the prior, (count, C, H, W) in [-1, 1]."""
        return self.decode(self.prior(count, generator))

    def evidence_bound(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return E_q[log p(x | z)] − KL(q(z | x) ‖ p(z)) with one draw of z, in nats, (B,).

        log p(x | z) is −`reconstruction`, so that the bound is up to a constant where that is.
        """
        posterior = self.posterior(images)
        latents = posterior.sample(self.prior(len(images), generator))
        return -self.reconstruction(self.decoder(latents), images) - posterior.kl().sum(1)


class VAETraining:
    """Minimises the negative evidence bound, its rate weighted by β: distortion + β·rate.

    Distortion is E[−log p(x | z)] and rate E[KL(q(z | x) ‖ p(z))], both in nats per image.
    """

    def __init__(
        self, model: VAE, optimizer: torch.optim.Optimizer, randomness: Randomness, beta: float = 1.0
    ) -> None:
        self.model = model
        self.optimizers = {"vae": optimizer}
        self.randomness = randomness
        self.beta = beta

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Take one descent step on one batch."""
        images = next(batches).images
        posterior = self.model.posterior(images)
        noise = self.randomness.normal(len(images), (self.model.latent,), "posterior", step)
        activations = self.model.decoder(posterior.sample(noise))
        distortion = self.model.reconstruction(activations, images).mean()
        rate = posterior.kl().sum(1).mean()
        loss = distortion + self.beta * rate
        norm = descend(loss, self.optimizers["vae"])
        return {
            "loss": loss.detach(),
            "distortion": distortion.detach(),
            "rate": rate.detach(),
            "posterior_mean": posterior.mean.detach().abs().mean(),
            "posterior_spread": (0.5 * posterior.log_variance.detach()).exp().mean(),
            "gradient_norm": norm,
        }
