"""The recipe of BigGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from genlab.recipes.fields import option
from genlab.recipes.gan import GANRecipe

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from genlab.core.modality import DataSpec
    from genlab.core.player import Player
    from genlab.families.biggan import BigGAN
    from genlab.families.gan import GAN


@dataclass(frozen=True)
class BigGANRecipe(GANRecipe):
    """A GAN with an orthogonal regularizer that samples truncated latents."""

    orthogonal: float = option(
        0.0,
        "weight of ‖WWᵀ ⊙ (1 − I)‖² in the generator (BigGAN uses 1e-4); raise it if truncated samples are "
        "distorted",
        least=0,
    )
    truncation: float | None = option(
        None,
        "largest absolute value of the numbers of a latent; 0.5 to 1 for better but less varied samples",
        above=0,
        sampling=True,
    )
    statistics_passes: int = option(
        16,
        "passes that measure the statistics of batch normalisation before sampling; 0 for those of training",
        least=0,
        sampling=True,
    )

    def _assembled(self, used: DataSpec) -> BigGAN:
        from genlab.families.biggan import BigGAN

        plain = super()._assembled(used)
        networks, passes = (plain.generator, plain.discriminator), self.statistics_passes
        return BigGAN(used, *networks, self.latent, truncation=self.truncation, passes=passes)

    def _player(self, name: Literal["discriminator", "generator"], model: GAN) -> Player:
        """Return the player of a network; the generator with the orthogonal regularizer."""
        from genlab.regularizers.weights import orthogonal_distance

        player = super()._player(name, model)
        others = player.weight_regularizer
        if name == "generator" and self.orthogonal:

            def distance(optimizer: Optimizer) -> Tensor:
                its = self.orthogonal * orthogonal_distance(player.network)
                return its + others(optimizer) if others else its

            player.weight_regularizer = distance
        return player
