"""The recipe of networks that restore degraded images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from genlab.core.errors import UsageError
from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.architectures.mixed import Mixed
    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec, Modality
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads
    from genlab.families.restoration import Fidelity

if TYPE_CHECKING:
    RestorerName: TypeAlias = str
    DistanceName: TypeAlias = str
else:
    RestorerName = names_of("architectures.restorer", "RESTORERS")
    DistanceName = names_of("objectives.distance", "DISTANCES")

FILLING = ("context-encoder", "partial-conv", "gated")  # architectures that need a mask
WHOLE = ("srcnn", "fsrcnn", "edsr", "rrdb", "colours")  # those that take none


@dataclass(frozen=True)
class RestorationRecipe(Recipe):
    """A network that undoes degradations."""

    family: ClassVar[str] = "restoration"
    takes_sources: ClassVar[bool] = True
    fewest: ClassVar[int] = 1
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    architecture: RestorerName = option("edsr", "network; colours is for --degrade grey=1", part="architecture")
    width: int = option(64, "channels of the feature maps; lower it on a CPU", least=1)
    blocks: int | None = option(
        None,
        "residual blocks of edsr, by default 8; convolutions of the mapping of fsrcnn, by default 4; halvings of "
        "context-encoder and partial-conv; convolutions with dilation of gated, by default 4",
        least=1,
    )
    degrade: tuple[str, ...] = option(
        ("bicubic=4",),
        "how pictures are degraded, one after the other: blur, bicubic, noise, jpeg, grey with =VALUE or "
        "=LOW:HIGH, and holes; such as blur=0.2:2 bicubic=4 noise=0:15 jpeg=40:95, or holes=centre",
    )
    distance: DistanceName = option("l1", "distance to the original that is minimised")
    hole_weight: float = option(
        1.0, "weight of missing pixels in the distance; raise it for better fills of holes", least=0
    )
    known_weight: float = option(1.0, "weight of the known pixels around a hole in the distance", least=0)
    perceptual_weight: float = option(
        0.0,
        "weight of the distance in features of EfficientNet-Lite0; raise it for more texture, less PSNR",
        least=0,
    )
    style_weight: float = option(
        0.0, "weight of the distance of products of these features (Gram matrices)", least=0
    )
    smoothness_weight: float = option(
        0.0, "weight of the total variation; raise it against specks and seams", least=0
    )
    batch_size: int = option(
        16,
        "images per step, over all processes together; lower it if memory runs out",
        least=1,
        aliases=("batch",),
    )
    lr: float = option(5e-4, "learning rate of Adam; lower it if the loss diverges", above=0)
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )

    @property
    def reads(self) -> Reads:
        """Pictures with degraded copies."""
        return "degraded"

    @property
    def degradations(self) -> tuple[str, ...]:
        """How pictures are degraded."""
        return self.degrade

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `Restorer`, or an `Inpainter` if there is a mask."""
        from genlab.families.restoration import Inpainter, Restorer

        given = self.given(spec)
        kind = Inpainter if "mask" in given else Restorer
        return kind(spec.target, given, self.network(spec))

    @staticmethod
    def given(spec: DataSpec) -> dict[str, Modality]:
        """Return the conditions of the network: a source and, if there are holes, a mask."""
        from genlab.core.condition import MASK, SOURCE

        return {name: spec.conditions[name] for name in (SOURCE, MASK) if name in spec.conditions}

    def network(self, spec: DataSpec) -> Mixed:
        """Return an untrained network; a user's own one gets `masked`: whether there is a mask."""
        from genlab.architectures.restorer import RESTORERS

        make, given = RESTORERS.bound(self.architecture, self.own), self.given(spec)
        told = {} if self.architecture in RESTORERS.rows else {"masked": "mask" in given}
        return make(given["source"], spec.target, self.width, self.blocks, **told)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `RestorationTraining`."""
        from genlab.core.optimizer import adam
        from genlab.families.restoration import RestorationTraining, Restorer

        assert isinstance(model, Restorer)
        player = self.player("restorer", model, adam(model, "restorer", self.lr, self.betas))
        return RestorationTraining(
            model, player, randomness, accumulate=self.accumulate, fidelity=self.fidelity(model)
        )

    def fidelity(self, model: nn.Module) -> Fidelity:
        """Return the distance of restored images to the originals."""
        from genlab.families.restoration import Fidelity
        from genlab.metrics.extractors.taps import EFFICIENTNET, taps
        from genlab.objectives.distance import DISTANCES
        from genlab.objectives.perceptual import FeatureTerms

        seen = self.perceptual_weight or self.style_weight
        features = taps(EFFICIENTNET).to(next(model.parameters()).device) if seen else None
        terms = FeatureTerms(features, self.perceptual_weight, self.style_weight, self.smoothness_weight)
        return Fidelity(
            DISTANCES[self.distance],
            hole_weight=self.hole_weight,
            known_weight=self.known_weight,
            terms=terms if seen or self.smoothness_weight else None,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if spec is not None and "source" not in spec.conditions:
            raise UsageError(
                f"{self.family} learns from pictures and degraded copies of them, but these data are "
                f"{spec.target.noun}. Use another preset, such as vae."
            )
        if spec is not None and not spec.aligned:
            raise UsageError(
                f"{self.family} learns from pictures and degraded copies of them, but these sources and targets "
                "are unpaired. Use cyclegan or cut."
            )
        if self.architecture == "colours" and not any(word.startswith("grey=") for word in self.degrade):
            raise UsageError(
                f"--architecture colours gives colours to grey pictures, but --degrade {' '.join(self.degrade)} "
                "leaves them in colour. Add grey=1, or choose another architecture, such as edsr."
            )
        fills = self.architecture in FILLING
        if spec is not None and fills != ("mask" in spec.conditions) and (fills or self.architecture in WHOLE):
            raise UsageError(
                f"--architecture {self.architecture} fills holes, but these pictures have none. Set --degrade "
                "holes=centre."
                if fills
                else f"--architecture {self.architecture} does not look at the mask of a hole. Use "
                f"{', '.join(FILLING)}."
            )
