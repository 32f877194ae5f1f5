"""The autoencoder: an image through a bottleneck and back.

References:
    Hinton and Salakhutdinov, 2006. Reducing the Dimensionality of Data with Neural Networks. Science 313.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.descent import descend
from genlab.objectives.reconstruction import Reconstruction


class Autoencoder(nn.Module):
    """z = encoder(x), x̂ = tanh(decoder(z))."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, images: Tensor) -> Tensor:
        """Return latents (B, latent) of images (B, C, H, W) in [-1, 1]."""
        latents: Tensor = self.encoder(images)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent)."""
        return torch.tanh(self.decoder(latents))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return decode(encode(images))."""
        return self.decode(self.encode(images))


class AutoencoderTraining:
    """Minimises the mean over images of the reconstruction error E ‖x̂ − x‖."""

    def __init__(
        self, model: Autoencoder, optimizer: torch.optim.Optimizer, reconstruction: Reconstruction
    ) -> None:
        self.model = model
        self.optimizers = {"autoencoder": optimizer}
        self.reconstruction = reconstruction

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Take one descent step on one batch."""
        images = next(batches).images
        latents = self.model.encode(images)
        loss = self.reconstruction(self.model.decoder(latents), images).mean()
        norm = descend(loss, self.optimizers["autoencoder"])
        return {
            "loss": loss.detach(),
            "latent_spread": latents.detach().std(),
            "gradient_norm": norm,
        }
