"""The recipe of CycleGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genlab.core.errors import UsageError
from genlab.recipes.fields import option
from genlab.recipes.translation import TranslationRecipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads


@dataclass(frozen=True)
class CycleGANRecipe(TranslationRecipe):
    """Translation both ways that is learned without pairs."""

    family: ClassVar[str] = "cyclegan"

    cycle_weight: float = option(
        10.0,
        "weight of the L1 distance between images and what comes back after both translations; lower it if "
        "translations change too little",
        least=0,
    )
    identity_weight: float = option(
        0.5,
        "weight, relative to --cycle-weight, of how much images change that are already of the wanted side; it "
        "keeps colours as they are; 0 if a translation has to change them",
        least=0,
    )
    cycle_noise: float = option(
        0.0,
        "standard deviation of noise on translations before they are translated back; try 0.06 if the source is "
        "hidden in its translation",
        least=0,
    )
    pool: int = option(
        50,
        "earlier translations of each side that its discriminator is shown again half of the time; 0 for none",
        least=0,
    )

    @property
    def reads(self) -> Reads:
        """Two sides."""
        return "sides"

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `CycleTranslator`."""
        from genlab.families.cyclegan import BothWays, CycleTranslator

        target, source = spec.target, spec.conditions["source"]
        generators = BothWays(self.generator(source, target), self.generator(target, source))
        return CycleTranslator(target, source, generators, BothWays(self.patches(target), self.patches(source)))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `CycleGANTraining`."""
        from genlab.families.cyclegan import CycleGANTraining, CycleTranslator

        assert isinstance(model, CycleTranslator)
        return CycleGANTraining(
            model,
            self.trained_by_adam("discriminator", model.discriminator, model, self.discriminator_lr),
            self.trained_by_adam("generator", model.generator, model, self.generator_lr),
            self.adversarial(),
            randomness,
            self.cycle_weight,
            self.identity_weight,
            self.pool,
            self.accumulate,
            self.cycle_noise,
            one_pass=self._one_pass(),
        )

    def _one_pass(self) -> bool:
        """Return whether the output of a network for an image depends on that image alone."""
        from genlab.architectures.translator import TRANSLATORS

        own = self.architecture not in TRANSLATORS.rows  # it may mix the images in ways that do not show
        return not (own or self.dropout or self.norm == "batch")

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if spec is None:
            return
        source, target = spec.conditions["source"].shape, spec.target.shape
        if self.identity_weight and source != target:
            raise UsageError(
                f"--identity-weight {self.identity_weight:g} asks each generator to leave images of its own side "
                f"unchanged, which needs sources and targets of one shape; these are {_shape(source)} and "
                f"{_shape(target)}. Set --identity-weight 0, or --channels 3 for both sides."
            )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
