"""The recipe of autoencoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import LatentRecipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.families.autoencoder import Sparsity

DistanceName = Literal["mse", "l1", "bce"]
if TYPE_CHECKING:
    SparsityName: TypeAlias = str
    CorruptionName: TypeAlias = str
else:
    SparsityName = names_of("objectives.sparsity", "SPARSITY", "none")
    CorruptionName = names_of("regularizers.corruption", "CORRUPTIONS", "none")


@dataclass(frozen=True)
class AutoencoderRecipe(LatentRecipe):
    """An autoencoder, plain, sparse or denoising."""

    family: ClassVar[str] = "autoencoder"

    latent: int = option(32, "dimensions of the bottleneck", least=1, aliases=("latent_dim",))
    reconstruction: DistanceName = option("mse", "what is minimised, summed over an image's pixels")
    sparsity: SparsityName = option(
        "none",
        "keep most units of the code off: kl holds the average of each sigmoid unit at the target, l1 charges for "
        "what units above zero add up to",
    )
    sparsity_weight: float = option(1.0, "weight of the sparsity penalty", least=0)
    sparsity_target: float = option(
        0.05, "average activation that --sparsity kl wants of each unit", above=0, most=0.5
    )
    corruption: CorruptionName = option("none", "how pictures are spoilt; the clean ones are to be given back")
    corruption_level: float = option(
        0.3,
        "share of the pixels that are spoilt; of gaussian, its spread in a brightness from 0 to 1",
        above=0,
        most=1,
    )
    lr: float = option(1e-3, "Adam's learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.999), "Adam's moment decays", least=0, most=0.9999)

    def model(self, spec: DataSpec) -> nn.Module:
        """Return an `Autoencoder`, or a `DenoisingAutoencoder` if there is a corruption."""
        from torch import nn

        from genlab.architectures import compose
        from genlab.families.autoencoder import Autoencoder, DenoisingAutoencoder

        parts = (
            spec.target,
            compose.encoder(self.architecture, spec.target, self.latent, self.width, depth=self.depth),
            compose.decoder(self.architecture, self.latent, spec.target, self.width, depth=self.depth),
            {"none": nn.Identity, "kl": nn.Sigmoid, "l1": nn.ReLU}[self.sparsity](),
        )
        if self.corruption == "none":
            return Autoencoder(*parts)
        from genlab.regularizers.corruption import CORRUPTIONS

        spoil, level = CORRUPTIONS[self.corruption], self.corruption_level
        return DenoisingAutoencoder(*parts, corruption=lambda images, draws: spoil(images, draws, level))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return an `AutoencoderTraining`."""
        from genlab.core.optimizer import adam
        from genlab.core.player import Player
        from genlab.families.autoencoder import Autoencoder, AutoencoderTraining
        from genlab.objectives.reconstruction import RECONSTRUCTION

        assert isinstance(model, Autoencoder)
        return AutoencoderTraining(
            model,
            Player(
                "autoencoder", model, adam(model, "autoencoder", self.lr, self.betas), clip_norm=self.clip_norm
            ),
            randomness,
            reconstruction=RECONSTRUCTION[self.reconstruction](),
            sparsity=self._sparsity(),
            sparsity_weight=self.sparsity_weight,
            accumulate=self.accumulate,
        )

    def _sparsity(self) -> Sparsity | None:
        from functools import partial

        from genlab.objectives.sparsity import kl_sparsity, l1_sparsity

        if self.sparsity == "kl":
            return partial(kl_sparsity, target=self.sparsity_target)
        return l1_sparsity if self.sparsity == "l1" else None
