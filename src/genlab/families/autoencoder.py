"""Autoencoders: plain, sparse and denoising.

References:
    Hinton and Salakhutdinov, 2006. Reducing the Dimensionality of Data with Neural Networks. Science 313.
    Ng, 2011. Sparse Autoencoder. CS294A Lecture Notes, Stanford.
    Vincent et al., 2010. Stacked Denoising Autoencoders. JMLR 11.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

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


@dataclass(eq=False, kw_only=True)
class AutoencoderTraining(SingleObjectiveTraining[Autoencoder]):
    """Minimises the mean reconstruction error of a batch, plus λ times the sparsity penalty of its latents.

    A denoising autoencoder encodes corrupted examples; its target is always the clean ones.
    """

    reconstruction: Reconstruction
    sparsity: Sparsity | None = None
    sparsity_weight: float = 1.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        x = batch.x
        latents = self.model.encode(self._input(x, step, randomness))
        loss = error = self.reconstruction(self.model.decoder(latents), x).mean()
        signals = {}
        if self.sparsity:
            penalty = self.sparsity(latents)
            loss = error + self.sparsity_weight * penalty
            signals = {"reconstruction_loss": error, "sparsity_loss": penalty, "mean_activation": latents.mean()}
        return loss, {"loss": loss, **signals, "latent_std": latents.std()}

    def _input(self, x: Tensor, step: int, randomness: Randomness) -> Tensor:
        """Return the input of the encoder: `x`, corrupted for a denoising autoencoder."""
        if not isinstance(self.model, DenoisingAutoencoder):
            return x
        return self.model.corruption(x, randomness.draws(len(x), "corruption", step))
