"""The recipe of StarGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genlab.core.errors import UsageError
from genlab.recipes.fields import option
from genlab.recipes.translation import AdversarialName, PatchName, TranslationRecipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads


@dataclass(frozen=True)
class StarGANRecipe(TranslationRecipe):
    """Translation between the domains of a labelled data set, by one network."""

    family: ClassVar[str] = "stargan"

    discriminator: PatchName = option("stargan", "discriminator; only stargan predicts the domains of images")
    loss: AdversarialName = option("wasserstein", "adversarial loss of both networks", part="gan-loss")
    classification_weight: float = option(
        1.0, "weight of the loss that translations belong to the wanted domain; raise it if they do not", least=0
    )
    cycle_weight: float = option(
        10.0,
        "weight of the L1 distance between sources and translations that are translated back; raise it if the "
        "content is lost",
        least=0,
    )
    cycle_noise: float = option(
        0.0,
        "standard deviation of noise on translations before they are translated back; try 0.06 if the source is "
        "hidden in its translation",
        least=0,
    )
    gradient_penalty: float = option(
        10.0,
        "weight of E(‖∇D‖ − 1)² between real and translated images; keeps wasserstein scores bounded",
        least=0,
    )
    discriminator_steps: int = option(
        5,
        "discriminator updates per step, each on a new batch; raise it if the discriminator is too weak",
        least=1,
        aliases=("n_critic",),
    )

    @property
    def reads(self) -> Reads:
        """Labelled domains."""
        return "domains"

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `DomainTranslator`."""
        from genlab.architectures.patch import patch_discriminator
        from genlab.families.stargan import DomainTranslator

        given = {name: spec.conditions[name] for name in ("source", "label")}
        discriminator = patch_discriminator(
            self.discriminator, spec.target, self.width, norm=self.norm, classes=spec.classes
        )
        generator = self.generator(given["source"], spec.target, spec.classes)
        return DomainTranslator(spec.target, given, generator, discriminator)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `StarGANTraining`."""
        from genlab.families.stargan import DomainTranslator, StarGANTraining
        from genlab.regularizers.gradient import weighted, wgan_gp

        assert isinstance(model, DomainTranslator)
        discriminator = self.trained_by_adam(
            "discriminator", model.discriminator, model, self.discriminator_lr, turns=self.discriminator_steps
        )
        return StarGANTraining(
            model,
            discriminator,
            self.trained_by_adam("generator", model.generator, model, self.generator_lr),
            self.adversarial(),
            randomness,
            self.classification_weight,
            self.cycle_weight,
            weighted(self.gradient_penalty, wgan_gp) if self.gradient_penalty else None,
            self.cycle_noise,
            self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if spec is not None:
            self._refuse_data(spec)

    @staticmethod
    def _refuse_data(spec: DataSpec) -> None:
        if spec.classes < 2:
            raise UsageError(
                "stargan translates between the classes of the data, but these have "
                f"{'only one' if spec.classes else 'none'}. Put the images of each domain into their own folder."
            )
        given = spec.conditions
        if given["source"] != spec.target or given.get("source_label") != given["label"]:
            raise UsageError(
                "stargan translates between the classes of one data set, but these sources come from another one. "
                "Give all domains as --data, without --source."
            )

    def _slope_bounds(self) -> int:
        return super()._slope_bounds() + (self.gradient_penalty > 0)
