"""The autoencoder: an image through a bottleneck and back; sparse and denoising, if asked for.

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
from genlab.core.contract import Signals
from genlab.core.random import Draws, Randomness
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.reconstruction import Reconstruction

Corruption: TypeAlias = Callable[[Tensor, Draws], Tensor]  # images (B, C, H, W) -> spoilt ones
Sparsity: TypeAlias = Callable[[Tensor], Tensor]  # codes (B, latent) -> scalar


class Autoencoder(nn.Module):
    """z = activation(encoder(x)), x̂ = tanh(decoder(z)).

    A sparse code needs an activation: a sigmoid, so that each unit has a rate of being on, or a rectifier, so that
    a unit can be exactly 0.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.activation = activation or nn.Identity()
        self.decoder = decoder

    def encode(self, images: Tensor) -> Tensor:
        """Return latents (B, latent) of images (B, C, H, W) in [-1, 1]."""
        latents: Tensor = self.activation(self.encoder(images))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent)."""
        return torch.tanh(self.decoder(latents))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return decode(encode(images))."""
        return self.decode(self.encode(images))


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that was shown spoilt images and asked for the clean ones."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        activation: nn.Module | None = None,
        *,
        corruption: Corruption,
    ) -> None:
        super().__init__(encoder, decoder, activation)
        self.corruption = corruption

    def corrupt(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return `images` as spoilt as in training, (B, C, H, W)."""
        draws = Draws(generator or torch.default_generator, len(images), device=images.device)
        return self.corruption(images, draws)


@dataclass(eq=False, kw_only=True)
class AutoencoderTraining(SingleObjectiveTraining[Autoencoder]):
    """Minimises the mean over images of the reconstruction error, plus λ times the sparsity penalty of the codes.

    A denoising autoencoder encodes corrupted images; the error is always that to the clean ones.
    """

    reconstruction: Reconstruction
    sparsity: Sparsity | None = None
    sparsity_weight: float = 1.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and what there is to say about it."""
        images = batch.images
        latents = self.model.encode(self._given(images, step, randomness))
        loss = error = self.reconstruction(self.model.decoder(latents), images).mean()
        signals = {}
        if self.sparsity:
            penalty = self.sparsity(latents)
            loss = error + self.sparsity_weight * penalty
            signals = {"reconstruction_loss": error, "sparsity_loss": penalty, "mean_activation": latents.mean()}
        return loss, {"loss": loss, **signals, "latent_std": latents.std()}

    def _given(self, images: Tensor, step: int, randomness: Randomness) -> Tensor:
        """Return what the encoder is shown."""
        if not isinstance(self.model, DenoisingAutoencoder):
            return images
        return self.model.corruption(images, randomness.draws(len(images), "corruption", step))
