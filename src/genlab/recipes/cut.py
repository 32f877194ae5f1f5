"""The recipe of CUT and FastCUT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from genlab.core.errors import UsageError
from genlab.recipes.fields import option
from genlab.recipes.translation import TranslationRecipe, TranslatorName

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads


@dataclass(frozen=True)
class CUTRecipe(TranslationRecipe):
    """Translation that is learned from two unpaired sets, with a contrastive loss."""

    family: ClassVar[str] = "cut"

    architecture: TranslatorName = option(
        "resnet",
        "generator network; only resnet has the layers that the contrastive loss compares",
        part="architecture",
    )
    contrastive_weight: float = option(
        0.5, "weight of the contrastive loss; raise it if translations lose the content of their source", least=0
    )
    identity_weight: float = option(
        0.5, "weight of the contrastive loss on images of the target, which should stay the same", least=0
    )
    temperature: float = option(
        0.07, "temperature of the contrastive loss; raise it if training is unstable", above=0
    )
    positions: int = option(256, "positions of each image that the contrastive loss compares in a layer", least=2)
    flip_equivariance: bool = option(
        False, "mirror half of the sources before translating, and expect mirrored translations"
    )

    @property
    def reads(self) -> Reads:
        """Two unpaired sides."""
        return "sides"

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `ContrastiveTranslator`."""
        from genlab.architectures.projection import ProjectionHeads
        from genlab.families.cut import ContrastiveTranslator, Encoder

        source = spec.conditions["source"]
        generator = self.generator(source, spec.target)
        assert isinstance(generator, Encoder)
        heads = ProjectionHeads(generator.encoded_channels)
        return ContrastiveTranslator(spec.target, {"source": source}, generator, self.patches(spec.target), heads)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `ContrastiveTraining`."""
        from torch import nn

        from genlab.families.cut import ContrastiveTraining, ContrastiveTranslator

        assert isinstance(model, ContrastiveTranslator)
        learning = nn.ModuleDict({"translator": model.generator, "heads": model.heads})
        return ContrastiveTraining(
            model,
            self.trained_by_adam("discriminator", model.discriminator, model, self.discriminator_lr),
            self.trained_by_adam("generator", learning, model, self.generator_lr),
            self.adversarial(),
            randomness,
            self.contrastive_weight,
            self.identity_weight,
            self.temperature,
            self.positions,
            self.flip_equivariance,
            self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if self.architecture != "resnet":
            raise UsageError(
                f"cut compares layers of the generator, which --architecture {self.architecture} does not have. "
                "Leave it out: cut takes resnet."
            )
        if not self.contrastive_weight and not self.identity_weight:
            raise UsageError(
                "without --contrastive-weight and --identity-weight nothing ties a translation to its source. "
                "Set one of them above 0."
            )
        if spec is not None and spec.conditions["source"].shape != spec.target.shape:
            raise UsageError(
                f"cut encodes sources and targets with the same network, but sources are "
                f"{spec.conditions['source'].shape} and targets {spec.target.shape}. Give both the same size and "
                "channels, or use cyclegan."
            )
