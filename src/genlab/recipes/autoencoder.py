"""The recipe of autoencoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.core.errors import UsageError
from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import LatentRecipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.families.autoencoder import Sparsity

GREY_LEVEL = 127.5  # grey levels from 0 to 1, in pictures from -1 to 1
DistanceName = Literal["mse", "l1", "bce"]
if TYPE_CHECKING:
    SparsityName: TypeAlias = str
    CorruptionName: TypeAlias = str
else:
    SparsityName = names_of("objectives.sparsity", "SPARSITY", "none")
    CorruptionName = names_of("regularizers.corruption", "CORRUPTIONS", "none")


@dataclass(frozen=True)
class AutoencoderRecipe(LatentRecipe):
    """An autoencoder, plain, sparse, denoising or compressive."""

    family: ClassVar[str] = "autoencoder"
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    latent: int = option(32, "dimensions of the code; fewer compress more", least=1, aliases=("latent_dim",))
    reconstruction: DistanceName = option(
        "mse",
        "reconstruction loss, summed over the pixels of an image; for categories in a table the cross-entropy",
        part="reconstruction",
    )
    sparsity: SparsityName = option(
        "none",
        "penalty that keeps most units of the code near 0: kl pulls the mean of each sigmoid unit to "
        "--sparsity-target, l1 penalises the sum of the ReLU units",
    )
    sparsity_weight: float = option(
        1.0, "weight of the sparsity penalty; raise it for fewer active units", least=0
    )
    sparsity_target: float = option(
        0.05, "target for the mean activation of each unit, for --sparsity kl", above=0, most=0.5
    )
    corruption: CorruptionName = option(
        "none", "how inputs are corrupted; the model learns to restore the clean images"
    )
    corruption_level: float = option(
        0.3,
        "share of corrupted pixels; for gaussian, the standard deviation on a scale from 0 (black) to 1 (white)",
        above=0,
        most=1,
    )
    rounding: float = option(
        0.0,
        "train for latents that are rounded to multiples of this many grey levels, as by genlab compress --step, "
        "and take few bits; raise it for smaller files; 0 for no rounding",
        least=0,
        most=1000,
    )
    lr: float = option(1e-3, "learning rate of Adam; lower it if the loss diverges", above=0)
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )

    def model(self, spec: DataSpec) -> nn.Module:
        """Return an `Autoencoder`: compressive if latents are rounded, denoising if inputs are corrupted."""
        from torch import nn

        from genlab.architectures import compose
        from genlab.families.autoencoder import Autoencoder, CompressiveAutoencoder, DenoisingAutoencoder

        encoder = compose.encoder(
            self.architecture, spec.target, self.latent, self.width, depth=self.depth, own=self.own
        )
        decoder = compose.decoder(
            self.architecture, self.latent, spec.target, self.width, depth=self.depth, own=self.own
        )
        if self.rounding:
            from genlab.architectures.cosine import CosineDecoder, CosineEncoder

            return CompressiveAutoencoder(
                spec.target,
                CosineEncoder(spec.target, self.latent, encoder),
                CosineDecoder(spec.target, self.latent, decoder),
                self.latent,
                step=self.rounding / GREY_LEVEL,
            )
        parts = (
            spec.target,
            encoder,
            decoder,
            {"none": nn.Identity, "kl": nn.Sigmoid, "l1": nn.ReLU}[self.sparsity](),
        )
        if self.corruption == "none":
            return Autoencoder(*parts)
        from genlab.regularizers.corruption import CORRUPTIONS

        corrupt, level = CORRUPTIONS[self.corruption], self.corruption_level
        return DenoisingAutoencoder(*parts, corruption=lambda images, draws: corrupt(images, draws, level))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return an `AutoencoderTraining`."""
        from torch import nn

        from genlab.core.device import device_of
        from genlab.core.optimizer import adam
        from genlab.families.autoencoder import Autoencoder, AutoencoderTraining
        from genlab.objectives.reconstruction import RECONSTRUCTION

        assert isinstance(model, Autoencoder)
        reconstruction = self.part(RECONSTRUCTION, self.reconstruction)(model.modality)
        if isinstance(reconstruction, nn.Module):
            reconstruction.to(device_of(model))
        return AutoencoderTraining(
            model,
            self.player("autoencoder", model, adam(model, "autoencoder", self.lr, self.betas)),
            randomness,
            reconstruction=reconstruction,
            sparsity=self._sparsity(),
            sparsity_weight=self.sparsity_weight,
            accumulate=self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for options that cannot be combined, or that do not fit the data."""
        super().refuse(spec, processes)
        if spec is not None and not spec.target.spatial and self.corruption not in ("none", "gaussian"):
            raise UsageError(
                f"--corruption {self.corruption} changes pixels, and these data are {spec.target.noun}. "
                "Set --corruption gaussian or none."
            )
        if not self.rounding:
            return
        wanted = {"--sparsity": (self.sparsity, "none"), "--corruption": (self.corruption, "none")}
        wanted["--reconstruction"] = (self.reconstruction, "mse")
        for flag, (given, only) in wanted.items():
            if given != only:
                raise UsageError(f"--rounding {self.rounding:g} needs {flag} {only}, not {given}.")
        if spec is not None and spec.target.spatial != 2:
            raise UsageError(
                f"--rounding is for pictures, and these data are {spec.target.noun}. Set --rounding 0."
            )

    def _sparsity(self) -> Sparsity | None:
        from functools import partial

        from genlab.objectives.sparsity import kl_sparsity, l1_sparsity

        if self.sparsity == "kl":
            return partial(kl_sparsity, target=self.sparsity_target)
        return l1_sparsity if self.sparsity == "l1" else None
