"""The recipe of pix2pix."""

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
class Pix2PixRecipe(TranslationRecipe):
    """Translation that is learned from pairs."""

    family: ClassVar[str] = "pix2pix"

    l1: float = option(
        100.0, "weight of the L1 distance to the truth; lower it for sharper, less faithful images", least=0
    )

    @property
    def reads(self) -> Reads:
        """Pairs."""
        return "pairs"

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `Translator` whose discriminator sees pairs."""
        from genlab.families.translation import Translator

        given = {"source": spec.conditions["source"]}
        return Translator(
            spec.target, given, self.generator(given["source"], spec.target), self.patches(spec.target, given)
        )

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `Pix2PixTraining`."""
        from genlab.families.pix2pix import Pix2PixTraining
        from genlab.families.translation import Translator

        assert isinstance(model, Translator)
        return Pix2PixTraining(
            model,
            self.trained_by_adam("discriminator", model.discriminator, model, self.discriminator_lr),
            self.trained_by_adam("generator", model.generator, model, self.generator_lr),
            self.adversarial(),
            randomness,
            self.l1,
            self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if spec is not None and not spec.aligned:
            raise UsageError(
                "pix2pix learns from pairs, but these sources and targets are unpaired. Use cyclegan or cut, or "
                "give each source the file name of its target."
            )
