"""The recipe of progressive growing: phases with images of twice the side each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from genlab.core.errors import UsageError
from genlab.recipes.fields import flag, option
from genlab.recipes.gan import GANRecipe
from genlab.recipes.recipe import Phase

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec, Modality
    from genlab.core.random import Randomness
    from genlab.core.schedules import Schedule

T = TypeVar("T")


@dataclass(frozen=True)
class GrowingGANRecipe(GANRecipe):
    """A GAN that learns small images first.

    The recipe of a phase is this one with the steps at which its images and those before it began (`grow_at`), how
    long its newest layers fade in, and its own width, batch size and learning rates.
    """

    grow_from: int = option(
        8, "side of the images in the first phase; each phase doubles it; the full side for no growing", least=4
    )
    grow_at: tuple[int, ...] | None = option(
        None, "steps at which the side doubles; by default all phases are equally long", least=1
    )
    fade_steps: int | None = option(
        None, "steps over which new layers fade in; by default half of the shortest phase", least=1
    )
    phase_batches: tuple[int, ...] | None = option(
        None, "images per step in each phase; by default --batch-size in all", least=2
    )
    phase_rates: tuple[float, ...] | None = option(
        None, "factors on both learning rates in each phase; by default 1 in all", above=0
    )

    def phases(self, spec: DataSpec) -> Sequence[Phase]:
        """Return a phase for each side of the images."""
        sides = self._sides(spec)
        ends = (*self._doublings(sides), self.steps)
        shortest = min(end - begin for begin, end in pairwise((0, *ends)))
        fade = self.fade_steps or max(shortest // 2, 1)
        batches = self._each("phase_batches", self.batch_size, len(sides))
        rates = self._each("phase_rates", 1.0, len(sides))
        return [
            Phase(
                end,
                replace(
                    self,
                    grow_at=ends[:number],
                    fade_steps=fade,
                    width=self.width * sides[-1] // side,
                    batch_size=batches[number],
                    phase_batches=None,
                    phase_rates=None,
                    generator_lr=rates[number] * self.generator_lr,
                    discriminator_lr=rates[number] * self.discriminator_lr,
                ),
                _reduced(spec, sides[-1] // side),
            )
            for number, (side, end) in enumerate(zip(sides, ends, strict=True))
        ]

    def keeping_phases(self, steps: int, done: int, spec: DataSpec) -> Mapping[str, Any]:
        """Return the steps at which the side doubled before step `done`, if phases are not given."""
        if self.grow_at is not None:
            return {}
        sides = self._sides(spec)
        past = [at for at in self._doublings(sides) if at <= done]
        left = len(sides) - 1 - len(past)
        begun = past[-1] if past else 0
        rest = (begun + (steps - begun) * (number + 1) // (left + 1) for number in range(left))
        return {"grow_at": (*past, *rest)} if past else {}

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `GrowingGANTraining`."""
        from genlab.architectures.growing import set_fade
        from genlab.families.growing import GrowingGANTraining

        return self._training(
            GrowingGANTraining, model, randomness, fading=self.fading(), set_fade=partial(set_fade, model)
        )

    def fading(self) -> Schedule:
        """Return the part α of the newest layers: from 0 to 1 from the step on at which their phase began."""
        if not self.grow_at or not self.fade_steps:
            return lambda step: 1.0
        begun, length = self.grow_at[-1], self.fade_steps
        return lambda step: min(max((step - begun) / length, 0.0), 1.0)

    def _sides(self, spec: DataSpec) -> list[int]:
        """Return the side of the images in each phase.

        Raises:
            UsageError: images that are not square, or whose side is no doubling of the first one.
        """
        side = spec.target.shape[-1]
        sides = [self.grow_from * 2**doubling for doubling in range(10)]
        if spec.target.spatial != 2 or spec.target.shape[-2] != side or side not in sides:
            raise UsageError(
                f"--grow-from {self.grow_from} cannot be doubled to these {spec.target.noun} of "
                f"{'×'.join(map(str, spec.target.shape[1:]))} pixels. Choose a --size that is a power of 2, and "
                "--grow-from 4, 8 or that size."
            )
        return sides[: sides.index(side) + 1]

    def _doublings(self, sides: Sequence[int]) -> tuple[int, ...]:
        """Return the steps at which the side doubles.

        Raises:
            UsageError: steps are given for another number of phases.
        """
        if self.grow_at is None:
            return tuple(self.steps * (number + 1) // len(sides) for number in range(len(sides) - 1))
        if len(self.grow_at) != len(sides) - 1:
            raise UsageError(
                f"--grow-at has {len(self.grow_at)} steps, but the side doubles {len(sides) - 1} times: "
                f"{', '.join(map(str, sides))} pixels. Give one step for each."
            )
        return self.grow_at

    def _each(self, name: str, default: T, phases: int) -> Sequence[T]:
        """Return the values of an option for all phases.

        Raises:
            UsageError: it has another number of values.
        """
        values = getattr(self, name)
        if values is not None and len(values) != phases:
            raise UsageError(f"{flag(name)} has {len(values)} values for {phases} phases. Give one for each.")
        return (default,) * phases if values is None else values


def _reduced(spec: DataSpec, factor: int) -> DataSpec:
    """Return a spec of images whose sides, and those of images among the conditions, are divided by `factor`."""
    from genlab.core.modality import DataSpec, Images

    def reduced(modality: Modality) -> Modality:
        if not isinstance(modality, Images):
            return modality
        return replace(modality, height=modality.height // factor, width=modality.width // factor)

    return DataSpec(reduced(spec.target), {name: reduced(its) for name, its in spec.conditions.items()})
