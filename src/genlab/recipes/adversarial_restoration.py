"""The recipe of networks that restore images against a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from genlab.core.errors import UsageError
from genlab.recipes.fields import option
from genlab.recipes.recipe import Phase
from genlab.recipes.restoration import RestorationRecipe
from genlab.recipes.translation import AdversarialName, PatchName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from genlab.architectures.patch import PatchDiscriminator
    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.schedules import Schedule
    from genlab.families.restoration import Fidelity


@dataclass(frozen=True)
class AdversarialRestorationRecipe(RestorationRecipe):
    """A network that undoes degradations so that its images look real to a discriminator."""

    family: ClassVar[str] = "adversarial-restoration"

    pixel_weight: float = option(
        1.0, "weight of the distance to the original; lower it for sharper, less faithful images", least=0
    )
    adversarial_weight: float = option(
        1e-3,
        "weight of the adversarial loss; raise it for sharper images with more invented details; 0 for no "
        "discriminator",
        least=0,
    )
    pretraining: float = option(
        0.0, "share of the steps, at the start, in which only the distance is minimised", least=0, most=0.95
    )
    pretraining_lr: float = option(
        5e-4, "learning rate in these first steps; lower it if the loss diverges", above=0
    )
    alpha: float = option(
        1.0,
        "share of adversarial training in the weights, from 0, those after --pretraining, which are the most "
        "faithful, to 1, the sharpest",
        least=0,
        most=1,
        sampling=True,
    )
    loss: AdversarialName = option("non-saturating", "adversarial loss of both networks", part="gan-loss")
    discriminator: PatchName = option(
        "patch-70", "discriminator by the side of its patches in pixels; patch-16 or patch-34 for small images"
    )
    discriminator_width: int = option(
        64, "channels of the discriminator's layer next to the image; lower it on a CPU", least=1
    )
    norm: Literal["instance", "batch", "none"] = option(
        "instance", "normalisation in the discriminator; batch only for large batches"
    )
    spectral_norm: bool = option(False, "spectral normalisation of the discriminator; stabilises training")
    discriminator_lr: float = option(
        1e-4, "learning rate of the discriminator; lower it if it is too strong", above=0
    )

    @property
    def pretraining_steps(self) -> int:
        """The steps in which only the distance is minimised."""
        return round(self.pretraining * self.steps) if self.adversarial_weight else 0

    @property
    def schedule_length(self) -> int:
        """The steps over which schedules run: those against the discriminator."""
        return self.schedule_steps or self.steps - self.pretraining_steps

    @property
    def decided_by_truth(self) -> bool:
        """Not if an adversary follows: the most faithful weights are those that it has changed least."""
        return not self.pretraining_steps

    def rate(self) -> Schedule:
        """Return the factor on the learning rates; each phase has a schedule of its own."""
        schedule, begun = super().rate(), self.pretraining_steps
        return lambda step: schedule(max(step - begun, 0))

    def keeping_phases(self, steps: int, done: int, spec: DataSpec) -> Mapping[str, Any]:
        """Return the share of `steps` that pretraining has taken, if it is over."""
        begun = self.pretraining_steps
        return {"pretraining": begun / steps} if 0 < begun <= done else {}

    def phases(self, spec: DataSpec) -> Sequence[Phase]:
        """Return the training by distance alone, if there is one, and that against the discriminator."""
        last, alone = Phase(self.steps, self, spec), self.pretraining_steps
        if not self.pretraining or not self.adversarial_weight:
            return [last]
        plain = replace(
            self,
            steps=alone,
            alpha=1.0,
            lr=self.pretraining_lr,
            pixel_weight=1.0,
            adversarial_weight=0.0,
            perceptual_weight=0.0,
            style_weight=0.0,
        )
        return [Phase(alone, plain, spec), last]

    def model(self, spec: DataSpec) -> nn.Module:
        """Return an `AdversarialRestorer`, or a `Restorer` if the adversarial loss has no weight.

        With a mask they are an `AdversarialInpainter` and an `Inpainter`.
        """
        from genlab.families.adversarial_restoration import AdversarialInpainter, AdversarialRestorer

        if not self.adversarial_weight:
            return super().model(spec)
        given = self.given(spec)
        kind = AdversarialInpainter if "mask" in given else AdversarialRestorer
        return kind(
            spec.target,
            given,
            self.network(spec),
            self.patch_discriminator(spec),
            pretrained=bool(self.pretraining),
            alpha=self.alpha,
        )

    def patch_discriminator(self, spec: DataSpec) -> PatchDiscriminator:
        """Return an untrained discriminator of images, which also sees the mask if there is one.

        It does not see the source, as published: the distances tie an image to its source, and a discriminator
        that has to find out only whether an image is sharp learns that sooner.
        """
        from genlab.architectures.patch import patch_discriminator
        from genlab.regularizers.spectral import spectral_norm_

        seen = {name: its for name, its in self.given(spec).items() if name == "mask"}
        network = patch_discriminator(
            self.discriminator, spec.target, self.discriminator_width, norm=self.norm, sources=seen
        )
        if self.spectral_norm:
            spectral_norm_(network)
        return network

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return an `AdversarialRestorationTraining`, or a `RestorationTraining` without a discriminator."""
        from genlab.core.optimizer import adam
        from genlab.families.adversarial_restoration import AdversarialRestorationTraining, AdversarialRestorer
        from genlab.objectives.adversarial import ADVERSARIAL

        if not isinstance(model, AdversarialRestorer):
            return super().training(model, randomness)
        discriminator, network = model.discriminator, model.network
        against = adam(discriminator, "discriminator", self.discriminator_lr, self.betas)
        generator = adam(network, "generator", self.lr, self.betas)
        return AdversarialRestorationTraining(
            model,
            self.player("discriminator", discriminator, against, among=model),
            self.player("generator", network, generator, among=model),
            self.part(ADVERSARIAL, self.loss),
            randomness,
            self.fidelity(model),
            self.adversarial_weight,
            self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined or do not fit the data."""
        super().refuse(spec, processes)
        if self.alpha != 1 and not self.pretraining_steps:
            raise UsageError(
                f"--alpha {self.alpha:g} has no effect: without --pretraining there are no weights to interpolate "
                "with. Leave it out, or set --pretraining 0.5."
            )

    def fidelity(self, model: nn.Module) -> Fidelity:
        """Return the weighted distance of restored images to the originals."""
        return replace(super().fidelity(model), pixel_weight=self.pixel_weight)
