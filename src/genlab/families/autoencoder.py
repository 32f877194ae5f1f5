"""Autoencoders: plain, sparse, denoising and compressive.

References:
    Hinton and Salakhutdinov, 2006. Reducing the Dimensionality of Data with Neural Networks. Science 313.
    Ng, 2011. Sparse Autoencoder. CS294A Lecture Notes, Stanford.
    Vincent et al., 2010. Stacked Denoising Autoencoders. JMLR 11.
    Ballé, Laparra and Simoncelli, 2017. End-to-end Optimized Image Compression. ICLR. arXiv:1611.01704.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.contract import Signals
from genlab.core.modality import Modality
from genlab.core.random import Draws, Randomness
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.reconstruction import Reconstruction

Corruption: TypeAlias = Callable[[Tensor, Draws], Tensor]  # examples (B, *shape) -> corrupted ones
Sparsity: TypeAlias = Callable[[Tensor], Tensor]  # latents (B, latent) -> scalar


class Autoencoder(nn.Module):
    """z = activation(encoder(x)), x̂ = tanh(decoder(z)).

    Sparse latents need an activation: a sigmoid, so that the mean activation of each unit lies between 0 and 1, or
    a ReLU, so that units can be exactly 0.
    """

    def __init__(
        self, modality: Modality, encoder: nn.Module, decoder: nn.Module, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.modality = modality
        self.encoder = encoder
        self.activation = activation or nn.Identity()
        self.decoder = decoder

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the latents (B, latent) of examples (B, *shape)."""
        latents: Tensor = self.activation(self.encoder(x))
        return latents

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent)."""
        return self.modality.squash(self.decoder(latents))

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the reconstructions of examples (B, *shape): decode(encode(x))."""
        return self.decode(self.encode(x))


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that learns to reconstruct clean examples from corrupted ones."""

    uses_sigma = False

    def __init__(
        self,
        modality: Modality,
        encoder: nn.Module,
        decoder: nn.Module,
        activation: nn.Module | None = None,
        *,
        corruption: Corruption,
    ) -> None:
        super().__init__(modality, encoder, decoder, activation)
        self.corruption = corruption

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        """Return the reconstructions of corrupted examples (B, *shape)."""
        return self.reconstruct(x)

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return examples (B, *shape), corrupted as in training."""
        draws = Draws(generator or torch.default_generator, len(x), device=x.device)
        return self.corruption(x, draws)


class CompressiveAutoencoder(Autoencoder):
    """An autoencoder whose latents are to be rounded to multiples of a step Δ, each with a logistic density.

    Latents with uniform noise of width Δ stand for rounded ones: their density, integrated over Δ, is the
    probability of the rounded value. The rate is its mean negative logarithm (Ballé et al., 2017).
    """

    SPEED = 10.0  # how much faster the logarithms of the scales learn

    def __init__(
        self, modality: Modality, encoder: nn.Module, decoder: nn.Module, latent: int, *, step: float
    ) -> None:
        super().__init__(modality, encoder, decoder)
        self.step = step
        self.location = nn.Parameter(torch.zeros(latent))
        self.log_scale = nn.Parameter(torch.zeros(latent))

    def noisy(self, latents: Tensor, draws: Draws) -> Tensor:
        """Return latents (B, latent) plus uniform noise between −Δ/2 and Δ/2."""
        return latents + self.step * (draws.uniform(latents.shape[1]) - 0.5)

    def rate(self, latents: Tensor) -> Tensor:
        """Return −log of the probability of the interval of width Δ around each latent, summed, in nats, (B,)."""
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), which neither cancels nor underflows.
        scale = (self.SPEED * self.log_scale).exp()
        centred, half, width = (latents - self.location) / scale, self.step / 2 / scale, self.step / scale
        logs = logsigmoid(half + centred) + logsigmoid(half - centred) + (-torch.expm1(-width)).log()
        return -logs.sum(1)


@dataclass(eq=False, kw_only=True)
class AutoencoderTraining(SingleObjectiveTraining[Autoencoder]):
    """Minimises the mean reconstruction error of a batch, plus λ times the sparsity penalty of its latents.

    A denoising autoencoder encodes corrupted examples; its target is always the clean ones. A compressive one
    decodes noisy latents, and its loss is the squared error plus Δ²/6 times the rate in nats: so much error a
    rounding to multiples of Δ adds for each nat that it saves.
    """

    reconstruction: Reconstruction
    sparsity: Sparsity | None = None
    sparsity_weight: float = 1.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        x = batch.x
        if isinstance(self.model, CompressiveAutoencoder):
            return self._compressive(self.model, x, randomness.draws(len(x), "rounding", step))
        latents = self.model.encode(self._input(x, step, randomness))
        loss = error = self.reconstruction(self.model.decoder(latents), x).mean()
        signals = {}
        if self.sparsity:
            penalty = self.sparsity(latents)
            loss = error + self.sparsity_weight * penalty
            signals = {"reconstruction_loss": error, "sparsity_loss": penalty, "mean_activation": latents.mean()}
        return loss, {"loss": loss, **signals, "latent_std": latents.std()}

    def _compressive(self, model: CompressiveAutoencoder, x: Tensor, draws: Draws) -> tuple[Tensor, Signals]:
        latents = model.noisy(model.encode(x), draws)
        error, rate = self.reconstruction(model.decoder(latents), x).mean(), model.rate(latents).mean()
        loss = error + model.step**2 / 6 * rate
        return loss, {"loss": loss, "reconstruction_loss": error, "rate": rate, "latent_std": latents.std()}

    def _input(self, x: Tensor, step: int, randomness: Randomness) -> Tensor:
        """Return the input of the encoder: `x`, corrupted for a denoising autoencoder."""
        if not isinstance(self.model, DenoisingAutoencoder):
            return x
        return self.model.corruption(x, randomness.draws(len(x), "corruption", step))
