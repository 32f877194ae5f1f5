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

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.schedules import Schedule

LabelsName = Literal["none", "concat"]


@dataclass(frozen=True)
class VAERecipe(LatentRecipe):
    """A variational autoencoder."""

    family: ClassVar[str] = "vae"
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    latent: int = option(
        20, "dimensions of the latent vector; raise it for varied data", least=1, aliases=("latent_dim",)
    )
    reconstruction: ReconstructionName = option(
        "bce",
        "−log p(x | z), summed over the pixels of an image; gaussian learns its variance; bce is not for tables",
        part="reconstruction",
    )
    binarise: bool = option(
        False, "redraw each pixel as black or white at every step, white with its grey level as probability"
    )
    labels: LabelsName = option(
        "none", "how both networks are conditioned on the class; concat allows sampling by class"
    )
    beta: float = option(
        1.0,
        "weight of KL(q(z | x) ‖ p(z)); above 1 for disentangled latents, below 1 for sharper reconstructions",
        least=0,
    )
    kl_warm_up: int = option(
        0, "steps over which the KL weight rises from 0 to --beta; use it against posterior collapse", least=0
    )
    kl_cycles: int = option(
        0, "number of times the KL weight rises from 0 to --beta; use it against posterior collapse", least=0
    )
    kl_cycle_ratio: float = option(0.5, "share of each KL cycle in which the weight rises", above=0, most=1)
    free_bits: float = option(
        0.0, "nats of KL per latent dimension that cost nothing; use it against inactive dimensions", least=0
    )
    importance_samples: int = option(
        1, "latents drawn per image; above 1 trains the tighter importance-weighted bound, in more time", least=1
    )
    lr: float = option(1e-3, "learning rate of Adam; lower it if the loss diverges", above=0)
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `VAE`; it is conditional if `labels` is set and the data have classes."""
        from genlab.architectures import compose
        from genlab.core.modality import DataSpec
        from genlab.families.vae import VAE
        from genlab.objectives.reconstruction import RECONSTRUCTION

        conditional = self.labels != "none" and spec.classes > 0
        used = DataSpec(spec.target, {"label": spec.conditions["label"]} if conditional else {})
        labels = self.labels if conditional else "none"
        return VAE(
            used,
            compose.encoder(
                self.architecture,
                used.target,
                2 * self.latent,
                self.width,
                classes=used.classes,
                depth=self.depth,
                own=self.own,
            ),
            compose.decoder(
                self.architecture,
                self.latent,
                used.target,
                self.width,
                labels=labels,
                classes=used.classes,
                depth=self.depth,
                own=self.own,
            ),
            self.latent,
            self.part(RECONSTRUCTION, self.reconstruction)(spec.target),
            importance_samples=self.importance_samples,
        )

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `VAETraining`."""
        from genlab.core.optimizer import adam
        from genlab.families.vae import VAE, VAETraining

        assert isinstance(model, VAE)
        return VAETraining(
            model,
            self.player("vae", model, adam(model, "vae", self.lr, self.betas)),
            randomness,
            beta=self.annealed_beta(),
            floor=self.free_bits,
            binarise=self.binarise,
            accumulate=self.accumulate,
        )

    def annealed_beta(self) -> Schedule:
        """Return the weight of the KL divergence as a function of the step."""
        from genlab.core.schedules import constant, cyclical, warm_up

        if self.kl_cycles:
            course = cyclical(self.schedule_length, self.kl_cycles, self.kl_cycle_ratio)
        else:
            course = warm_up(self.kl_warm_up) if self.kl_warm_up else constant()
        return lambda step: self.beta * course(step)

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules of the learning rate and the cycles of β."""
        return super().schedules() | ({"kl_cycles": self.annealed_beta()} if self.kl_cycles else {})

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for options that cannot be combined."""
        super().refuse(spec, processes)
        for wrong, reason in (*self._wrong_weights(), *self._wrong_data(spec)):
            if wrong:
                raise UsageError(reason)

    def _wrong_weights(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.kl_cycles > 0 and self.kl_warm_up > 0,
            "--kl-cycles and --kl-warm-up both set how the KL weight rises. Leave one out.",
        )
        weighed = {
            "--beta": self.beta != 1,
            "--kl-warm-up": self.kl_warm_up > 0,
            "--kl-cycles": self.kl_cycles > 0,
            "--free-bits": self.free_bits > 0,
        }
        for flag, used in weighed.items():
            yield (
                used and self.importance_samples > 1,
                f"--importance-samples {self.importance_samples} trains a bound without a separate KL term, so "
                f"{flag} has no effect. Leave one out.",
            )

    def _wrong_data(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        yield (
            self.binarise and self.reconstruction != "bce",
            f"--binarise makes pixels black or white, but --reconstruction {self.reconstruction} is for grey "
            "ones. Set --reconstruction bce, or leave --binarise out.",
        )
        yield (
            self.labels != "none" and spec is not None and spec.classes == 0,
            f"--labels {self.labels} needs labelled data, but these have no labels. Put the images of each class "
            "into their own folder, or set --labels none.",
        )
