"""What the recipes of models that translate images have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.core.errors import UsageError
from genlab.recipes.fields import chosen_parts, names_of, option
from genlab.recipes.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from genlab.architectures.mixed import Mixed
    from genlab.architectures.patch import PatchDiscriminator
    from genlab.core.modality import DataSpec, Modality
    from genlab.core.player import Player
    from genlab.objectives.adversarial import AdversarialLoss

if TYPE_CHECKING:
    TranslatorName: TypeAlias = str
    PatchName: TypeAlias = str
    AdversarialName: TypeAlias = str
else:
    TranslatorName = names_of("architectures.translator", "TRANSLATORS")
    PatchName = names_of("architectures.patch", "PATCHES")
    AdversarialName = names_of("objectives.adversarial", "ADVERSARIAL")


@dataclass(frozen=True)
class TranslationRecipe(Recipe):
    """What generators from images to images have in common."""

    takes_sources: ClassVar[bool] = True
    fewest: ClassVar[int] = 1
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    architecture: TranslatorName = option(
        "resnet",
        "generator network; resnet redraws textures, unet keeps the position of every edge",
        part="architecture",
    )
    width: int = option(
        64, "channels of the layer next to the image, in both networks; lower it on a CPU", least=1
    )
    blocks: int | None = option(
        None, "residual blocks of --architecture resnet; by default 6 up to 128 pixels, 9 above", least=1
    )
    dropout: float = option(
        0.0, "dropout probability in the generator; raise it if the model overfits", least=0, most=0.9
    )
    upsampling: Literal["upsample", "transposed"] = option(
        "upsample", "how the generator enlarges its maps; transposed convolutions leave checkerboard patterns"
    )
    discriminator: PatchName = option(
        "patch-70", "discriminator by the side of its patches in pixels; patch-16 or patch-34 for small images"
    )
    norm: Literal["instance", "batch", "none"] = option(
        "instance",
        "normalisation in both networks; batch only for large batches; stargan discriminators have none",
    )
    loss: AdversarialName = option("least-squares", "adversarial loss of both networks", part="gan-loss")
    generator_lr: float = option(
        2e-4, "learning rate of the generator; lower it if training diverges", above=0, aliases=("lr",)
    )
    discriminator_lr: float = option(
        2e-4, "learning rate of the discriminator; lower it if it is too strong", above=0, aliases=("lr",)
    )
    betas: tuple[float, float] = option(
        (0.5, 0.999), "β₁ and β₂ of Adam in both networks; lower β₁ if training oscillates", least=0, most=0.9999
    )
    batch_size: int = option(
        1,
        "images per step, over all processes together; lower it if memory runs out",
        least=1,
        aliases=("batch",),
    )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if self.blocks is not None and self.architecture != "resnet":
            raise UsageError(f"--blocks {self.blocks} is for --architecture resnet. Leave it out.")
        if spec is not None and "source" not in spec.conditions:
            raise UsageError(
                f"{self.family} translates images, but these data have no sources. Give a folder with the "
                "sub-folders A and B, or trainA, trainB, testA and testB; or the targets by --data and the "
                "sources by --source."
            )

    def facts(self) -> Mapping[str, float]:
        """Return `slope_bounds`, how many parts bound the slope of the discriminator, if its loss needs that."""
        from genlab.objectives.adversarial import ADVERSARIAL

        if self.loss not in ADVERSARIAL or not self.part(ADVERSARIAL, self.loss).unbounded:
            return {}
        return {"slope_bounds": float(self._slope_bounds())}

    def _slope_bounds(self) -> int:
        """Return how many parts bound the discriminator's slope; a user's own regularizer may."""
        return sum(part.kind == "regularizer" for part in chosen_parts(self))

    def generator(self, source: Modality, target: Modality, classes: int = 0) -> Mixed:
        """Return an untrained generator."""
        from genlab.architectures.translator import translator

        return translator(
            self.architecture,
            source,
            target,
            self.width,
            norm=self.norm,
            upsampling=self.upsampling,
            dropout=self.dropout,
            blocks=self.blocks,
            classes=classes,
            own=self.own,
        )

    def patches(self, target: Modality, sources: Mapping[str, Modality] | None = None) -> PatchDiscriminator:
        """Return an untrained discriminator of images, or of pairs with their `sources`."""
        from genlab.architectures.patch import patch_discriminator

        return patch_discriminator(self.discriminator, target, self.width, norm=self.norm, sources=sources or {})

    def adversarial(self) -> AdversarialLoss:
        """Return the adversarial losses; the generator's of least squares is without ½, as in these papers."""
        from genlab.objectives.adversarial import ADVERSARIAL, whole_squares_generator

        loss = self.part(ADVERSARIAL, self.loss)
        return replace(loss, generator=whole_squares_generator) if self.loss == "least-squares" else loss

    def trained_by_adam(
        self, name: str, network: nn.Module, model: nn.Module, lr: float, turns: int = 1
    ) -> Player:
        """Return the player of a network of `model`, which is updated `turns` times in a step."""
        from genlab.core.optimizer import adam

        return self.player(name, network, adam(network, name, lr, self.betas), among=model, turns=turns)
