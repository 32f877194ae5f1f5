"""The recipe of denoisers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genlab.recipes.autoencoder import CorruptionName
from genlab.recipes.fields import option
from genlab.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness


@dataclass(frozen=True)
class DenoiserRecipe(Recipe):
    """A network that finds the noise in pictures."""

    family: ClassVar[str] = "denoiser"
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    width: int = option(64, "channels of the feature maps; lower it on a CPU", least=1)
    depth: int = option(4, "residual blocks; more see a larger part of the picture", least=1, most=1000)
    corruption: CorruptionName = option(
        "gaussian-levels", "how pictures are corrupted; the model learns to restore the clean ones"
    )
    corruption_level: float = option(
        0.3,
        "the largest standard deviation of the noise on a scale from 0 (black) to 1 (white), 0.1 is 25 of 255; "
        "for masking and salt-and-pepper, the share of corrupted pixels",
        above=0,
        most=1,
    )
    lr: float = option(1e-3, "learning rate of Adam; lower it if the loss diverges", above=0)
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `Denoiser`."""
        from genlab.architectures.dncnn import DnCNN
        from genlab.families.denoiser import Denoiser
        from genlab.regularizers.corruption import CORRUPTIONS

        corrupt, level = CORRUPTIONS[self.corruption], self.corruption_level
        network = DnCNN(spec.target, self.width, self.depth)
        return Denoiser(spec.target, network, lambda images, draws: corrupt(images, draws, level))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `DenoiserTraining`."""
        from genlab.core.optimizer import adam
        from genlab.families.denoiser import Denoiser, DenoiserTraining

        assert isinstance(model, Denoiser)
        player = self.player("denoiser", model, adam(model, "denoiser", self.lr, self.betas))
        return DenoiserTraining(model, player, randomness, accumulate=self.accumulate)
