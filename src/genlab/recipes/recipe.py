"""What a model is made of: one frozen dataclass of plain values per family, and how it is put together.

torch and the networks are imported where they are built, so that recipes can be listed without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from genlab.recipes.fields import option

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.batch import ImageShape
    from genlab.core.contract import Training
    from genlab.core.random import Randomness

# The names of the tables in architectures/ and objectives/, which cannot be read without importing torch. A test
# holds the two together.
ArchitectureName = Literal["mlp", "dcgan", "dcgan-upsample"]
ReconstructionName = Literal["mse", "l1", "bce"]
AdversarialName = Literal["minimax", "non-saturating"]


@dataclass(frozen=True)
class Recipe(ABC):
    """What every family has."""

    family: ClassVar[str]

    architecture: ArchitectureName = option("dcgan", "networks of both directions")
    width: int = option(64, "channels of the layer next to the image; of mlp, hidden units", least=1)
    latent: int = option(100, "dimensions of the latent", least=1)
    batch: int = option(64, "images per step, over all processes together", least=2)
    steps: int = option(10_000, "steps to train", least=1)
    ema: float = option(
        0.0, "decay of the average of the weights that is published; 0 for none", least=0, most=0.99999
    )

    @abstractmethod
    def model(self, shape: ImageShape) -> nn.Module:
        """Return the networks for images of `shape`, freshly initialised from torch's global stream."""

    @abstractmethod
    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return what trains `model`, which must be this recipe's."""


@dataclass(frozen=True)
class AutoencoderRecipe(Recipe):
    """An autoencoder."""

    family: ClassVar[str] = "autoencoder"

    latent: int = option(32, "dimensions of the bottleneck", least=1)
    reconstruction: ReconstructionName = option("mse", "what is minimised")
    lr: float = option(1e-3, "Adam's learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.999), "Adam's moment decays", least=0, most=0.9999)

    def model(self, shape: ImageShape) -> nn.Module:
        """Return an `Autoencoder`."""
        from genlab.architectures import ARCHITECTURES
        from genlab.families.autoencoder import Autoencoder

        parts = ARCHITECTURES[self.architecture]
        encoder = parts.encoder(shape, self.latent, self.width)
        return Autoencoder(encoder, parts.decoder(self.latent, shape, self.width))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return an `AutoencoderTraining`."""
        from genlab.core.descent import adam
        from genlab.families.autoencoder import Autoencoder, AutoencoderTraining
        from genlab.objectives.reconstruction import RECONSTRUCTION

        assert isinstance(model, Autoencoder)
        optimizer = adam(model, "autoencoder", self.lr, self.betas)
        return AutoencoderTraining(model, optimizer, RECONSTRUCTION[self.reconstruction])


@dataclass(frozen=True)
class VAERecipe(Recipe):
    """A variational autoencoder."""

    family: ClassVar[str] = "vae"

    latent: int = option(20, "dimensions of the latent", least=1)
    reconstruction: ReconstructionName = option("bce", "−log p(x | z)")
    beta: float = option(1.0, "weight of the rate, KL(q(z | x) ‖ p(z))", least=0)
    lr: float = option(1e-3, "Adam's learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.999), "Adam's moment decays", least=0, most=0.9999)

    def model(self, shape: ImageShape) -> nn.Module:
        """Return a `VAE`."""
        from genlab.architectures import ARCHITECTURES
        from genlab.families.vae import VAE
        from genlab.objectives.reconstruction import RECONSTRUCTION

        parts = ARCHITECTURES[self.architecture]
        encoder = parts.encoder(shape, 2 * self.latent, self.width)
        decoder = parts.decoder(self.latent, shape, self.width)
        return VAE(encoder, decoder, self.latent, RECONSTRUCTION[self.reconstruction])

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `VAETraining`."""
        from genlab.core.descent import adam
        from genlab.families.vae import VAE, VAETraining

        assert isinstance(model, VAE)
        return VAETraining(model, adam(model, "vae", self.lr, self.betas), randomness, self.beta)


@dataclass(frozen=True)
class GANRecipe(Recipe):
    """A generative adversarial network."""

    family: ClassVar[str] = "gan"

    loss: AdversarialName = option("non-saturating", "what both players minimise")
    critic_steps: int = option(1, "steps of the critic for one of the generator", least=1)
    generator_lr: float = option(2e-4, "Adam's learning rate of the generator", above=0)
    critic_lr: float = option(2e-4, "Adam's learning rate of the critic", above=0)
    betas: tuple[float, float] = option(
        (0.5, 0.999), "Adam's moment decays, of both players", least=0, most=0.9999
    )
    ema: float = option(
        0.999, "decay of the average of the weights that is published; 0 for none", least=0, most=0.99999
    )

    def model(self, shape: ImageShape) -> nn.Module:
        """Return a `GAN`."""
        from genlab.architectures import ARCHITECTURES
        from genlab.families.gan import GAN

        parts = ARCHITECTURES[self.architecture]
        generator = parts.decoder(self.latent, shape, self.width)
        return GAN(generator, parts.encoder(shape, 1, self.width), self.latent)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `GANTraining`."""
        from genlab.core.descent import adam
        from genlab.families.gan import GAN, GANTraining
        from genlab.objectives.adversarial import ADVERSARIAL

        assert isinstance(model, GAN)
        return GANTraining(
            model,
            generator_optimizer=adam(model.generator, "generator", self.generator_lr, self.betas),
            critic_optimizer=adam(model.critic, "critic", self.critic_lr, self.betas),
            loss=ADVERSARIAL[self.loss],
            randomness=randomness,
            critic_steps=self.critic_steps,
        )
