"""The recipe of variational autoencoders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from genlab.core.errors import UsageError
from genlab.recipes.fields import option
from genlab.recipes.recipe import LatentRecipe, ReconstructionName

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.batch import ImageShape
    from genlab.core.contract import Training
    from genlab.core.random import Randomness
    from genlab.core.schedules import Schedule

LabelsName = Literal["none", "concat"]


@dataclass(frozen=True)
class VAERecipe(LatentRecipe):
    """A variational autoencoder."""

    family: ClassVar[str] = "vae"

    latent: int = option(20, "dimensions of the latent", least=1)
    reconstruction: ReconstructionName = option(
        "bce", "−log p(x | z), summed over an image's pixels; gaussian learns how far off they are"
    )
    binarise: bool = option(
        False, "make each pixel black or white anew in each step, white with its grey level as probability"
    )
    labels: LabelsName = option(
        "none", "how both networks are told the class of each picture, so that one can ask for a class"
    )
    beta: float = option(1.0, "weight of the rate, KL(q(z | x) ‖ p(z))", least=0)
    warm_up: int = option(0, "steps over which that weight rises from 0, once; 0 for none", least=0)
    cycles: int = option(0, "how often over all steps that weight rises from 0 anew; 0 for none", least=0)
    cycle_ratio: float = option(0.5, "share of each cycle in which the weight rises", above=0, most=1)
    free_bits: float = option(
        0.0, "nats that each latent dimension may carry for nothing, so that none falls idle", least=0
    )
    importance_samples: int = option(
        1, "draws of the latent per picture; above 1 the tighter importance-weighted bound is trained", least=1
    )
    lr: float = option(1e-3, "Adam's learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.999), "Adam's moment decays", least=0, most=0.9999)

    def model(self, shape: ImageShape, classes: int = 0) -> nn.Module:
        """Return a `VAE`; conditional where there are labels to be told and classes of the data."""
        from genlab.architectures import compose
        from genlab.families.vae import VAE
        from genlab.objectives.reconstruction import RECONSTRUCTION

        labels = self.labels if classes else "none"
        told = 0 if labels == "none" else classes
        return VAE(
            compose.encoder(self.architecture, shape, 2 * self.latent, self.width, classes=told, depth=self.depth),
            compose.decoder(
                self.architecture, self.latent, shape, self.width, labels=labels, classes=told, depth=self.depth
            ),
            self.latent,
            RECONSTRUCTION[self.reconstruction](),
            classes=told,
            importance_samples=self.importance_samples,
        )

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `VAETraining`."""
        from genlab.core.optimizer import adam
        from genlab.core.player import Player
        from genlab.families.vae import VAE, VAETraining

        assert isinstance(model, VAE)
        return VAETraining(
            model,
            Player("vae", model, adam(model, "vae", self.lr, self.betas), clip_norm=self.clip_norm),
            randomness,
            beta=self.annealed_beta(),
            floor=self.free_bits,
            binarise=self.binarise,
            accumulate=self.accumulate,
        )

    def annealed_beta(self) -> Schedule:
        """Return the weight of the rate, step by step."""
        from genlab.core.schedules import constant, cyclical, warm_up

        if self.cycles:
            course = cyclical(self.steps, self.cycles, self.cycle_ratio)
        else:
            course = warm_up(self.warm_up) if self.warm_up else constant()
        return lambda step: self.beta * course(step)

    def refuse(self, classes: int | None = None, processes: int = 1) -> None:
        """Raise UsageError for parts that do not go together."""
        for wrong, reason in (*self._wrong_weights(), *self._wrong_data(classes)):
            if wrong:
                raise UsageError(reason)

    def _wrong_weights(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.cycles > 0 and self.warm_up > 0,
            "--cycles and --warm-up both say how the weight of the rate rises. Leave one out.",
        )
        weighed = {
            "--beta": self.beta != 1,
            "--warm-up": self.warm_up > 0,
            "--cycles": self.cycles > 0,
            "--free-bits": self.free_bits > 0,
        }
        for flag, used in weighed.items():
            yield (
                used and self.importance_samples > 1,
                f"--importance-samples {self.importance_samples} trains a bound in which the rate has no weight "
                f"of its own, so that {flag} cannot be used. Leave one out.",
            )

    def _wrong_data(self, classes: int | None) -> Iterator[tuple[bool, str]]:
        yield (
            self.binarise and self.reconstruction != "bce",
            f"--binarise makes pixels black or white, and --reconstruction {self.reconstruction} is of grey ones. "
            "Set --reconstruction bce, or leave --binarise out.",
        )
        yield (
            self.labels != "none" and classes == 0,
            f"--labels {self.labels} needs labelled data, and these have none. Put the pictures of each class "
            "into a folder of its own, or set --labels none.",
        )
