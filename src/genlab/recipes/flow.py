"""The recipe of normalising flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.schedules import Schedule

if TYPE_CHECKING:
    FlowName: TypeAlias = str
else:
    FlowName = names_of("architectures.flow", "FLOWS")


@dataclass(frozen=True)
class FlowRecipe(Recipe):
    """A normalising flow."""

    family: ClassVar[str] = "flow"
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    architecture: FlowName = option("glow", "invertible network; spline is for points and short vectors")
    width: int = option(512, "hidden channels of each coupling network; for spline, hidden units", least=1)
    flow_steps: int = option(
        32, "flow steps per level; for spline, in total; fewer are faster", least=1, most=1000
    )
    levels: int | None = option(
        None, "levels, each at half the resolution; by default as many as the size allows, at most 3", least=1
    )
    noise: float = option(
        0.0,
        "standard deviation of noise on examples in training; raise it if the density of points or rows overfits",
        least=0,
    )
    temperature: float = option(
        1.0,
        "standard deviation of the latents when sampling; below 1 for cleaner, less varied samples",
        above=0,
        sampling=True,
    )
    lr: float = option(1e-3, "learning rate of Adam; lower it if the loss diverges", above=0)
    lr_warm_up: int = option(
        0, "steps in which the learning rate rises to --lr; raise it if a wide network overflows at once", least=0
    )
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )
    clip_norm: float | None = option(
        1.0, "largest gradient norm; larger gradients are scaled down to it; lower it if they explode", above=0
    )
    ema: float = option(
        0.999,
        "decay of the averaged weights, which are evaluated and sampled; 0 for no average",
        least=0,
        most=0.99999,
    )

    def rate(self) -> Schedule:
        """Return the factor on the learning rate: that of --lr-schedule, times (t + 1)/n in the first n steps."""
        from genlab.core.schedules import warm_up

        schedule = super().rate()
        if not self.lr_warm_up:
            return schedule
        rise = warm_up(self.lr_warm_up)
        return lambda step: rise(step + 1) * schedule(step)

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `Flow`; it ignores labels."""
        from genlab.architectures.flow import FLOWS
        from genlab.families.flow import Flow

        network = FLOWS[self.architecture](spec.target, self.width, self.flow_steps, self.levels)
        return Flow(network, spec.target, temperature=self.temperature)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `FlowTraining`."""
        from genlab.core.optimizer import adam
        from genlab.families.flow import Flow, FlowTraining

        assert isinstance(model, Flow)
        player = self.player("flow", model, adam(model, "flow", self.lr, self.betas))
        return FlowTraining(model, player, randomness, accumulate=self.accumulate, noise=self.noise)
