"""What a model is made of: one frozen dataclass of plain values per family, which builds the model.

torch and the networks are imported inside methods, so that listing recipes does not import them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from genlab.core.errors import UsageError
from genlab.recipes.fields import names_of, option, own_options, sampling_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec, Modality
    from genlab.core.parts import Table
    from genlab.core.player import Player
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads
    from genlab.core.schedules import Schedule

if TYPE_CHECKING:
    ArchitectureName: TypeAlias = str
    ReconstructionName: TypeAlias = str
    RateName: TypeAlias = str
else:
    ArchitectureName = names_of("architectures.__init__", "ARCHITECTURES")
    ReconstructionName = names_of("objectives.reconstruction", "RECONSTRUCTION")
    RateName = names_of("core.schedules", "RATES")

T = TypeVar("T")


@dataclass(frozen=True)
class Phase:
    """A part of a run with its own recipe and data spec.

    Args:
        steps: the step of the run at which it ends.
        recipe: builds its networks and their training: the run's recipe with other values.
        spec: what it generates. Images may be smaller than those of the data by an integer factor.
    """

    steps: int
    recipe: Recipe
    spec: DataSpec


@dataclass(frozen=True)
class Recipe(ABC):
    """The options that every family has."""

    family: ClassVar[str]
    title: ClassVar[str] = ""  # of its options of sampling; by default its family
    takes_sources: ClassVar[bool] = False  # whether it uses conditions other than a label
    fewest: ClassVar[int] = 2  # images that have to go through the networks together
    regularized: ClassVar[tuple[str, ...]] = ()  # forms of own regularizers that it uses: "weights", "gradient"

    architecture: str = option("dcgan", "network architecture")
    width: int = option(
        64, "channels of the layer next to the image; for mlp, units per hidden layer; lower it on a CPU", least=1
    )
    batch_size: int = option(
        64,
        "images per step, over all processes together; lower it if memory runs out",
        least=2,
        aliases=("batch",),
    )
    accumulate: int = option(
        1, "split each batch into this many parts, one after the other; raise it if memory runs out", least=1
    )
    steps: int = option(10_000, "training steps; raise it while evaluations still improve", least=1)
    lr_schedule: RateName = option(
        "constant",
        "how learning rates change over the steps; linear and cosine fall to 0, late-linear in the second half",
        part="lr-schedule",
    )
    schedule_steps: int | None = option(
        None,
        "steps over which --lr-schedule and other schedules run, and then stay at their last value; by default "
        "--steps",
        least=1,
    )
    clip_norm: float | None = option(
        None,
        "largest gradient norm of each network; larger gradients are scaled down to it; not clipped by default",
        above=0,
    )
    ema: float = option(
        0.0,
        "decay of the averaged weights, which are evaluated and sampled; 0 for no average",
        least=0,
        most=0.99999,
    )
    own: dict[str, Any] = own_options()

    @abstractmethod
    def model(self, spec: DataSpec) -> nn.Module:
        """Return untrained networks for data like `spec`, initialised from torch's global random numbers."""

    @abstractmethod
    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return the training of `model`, which this recipe must have built."""

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for options that cannot be combined or do not fit the data, before anything is written.

        `spec` is None if the data are not open yet.
        """
        sources = self.sources(spec) if spec else {}
        if sources and not self.takes_sources:
            raise UsageError(
                f"these data come with {', '.join(sources)} for each example, which this model does not use. "
                "Use a preset that does, such as dcgan or velocity-diffusion."
            )
        if self.schedule_steps is not None and not self.schedules():
            raise UsageError(
                f"--schedule-steps {self.schedule_steps} has no effect: nothing of this model changes over the "
                "steps. Leave it out, or set a schedule such as --lr-schedule linear."
            )

    def facts(self) -> Mapping[str, float]:
        """Return what the doctor has to know besides the options."""
        return {}

    def notes(self, spec: DataSpec) -> Mapping[str, str]:
        """Return what a run on data like `spec` should say at its start: what was chosen that nobody has given."""
        return {}

    @property
    def reads(self) -> Reads:
        """What the model learns from."""
        return "examples"

    @property
    def degradations(self) -> tuple[str, ...]:
        """How pictures are degraded that the model restores, if it reads degraded ones."""
        return ()

    @property
    def decided_by_truth(self) -> bool:
        """Whether the distance to the truth, where it is known, decides which checkpoint is best."""
        return True

    @property
    def of_sampling(self) -> tuple[str, ...]:
        """Names of the options that can change after training."""
        return sampling_options(self)

    def part(self, table: Table[T], name: str) -> T:
        """Return the row `name` of a table; an own part gets the options that this recipe has for it.

        Raises:
            UsageError: it is an own part that is not registered.
        """
        if name not in set(table):
            raise UsageError(
                f'the {table.kind} "{name}" is not registered. Load the file that registers it: --plugin FILE.'
            )
        return table.bound(name, self.own)

    def player(self, name: str, network: nn.Module, optimizer: Optimizer, **rest: Any) -> Player:  # noqa: ANN401
        """Return the player of a network, its limit on gradients and its own regularizers of weights."""
        from genlab.core.player import Player
        from genlab.regularizers.own import weight_regularizer

        own = weight_regularizer(network, self.own)
        return Player(name, network, optimizer, clip_norm=self.clip_norm, weight_regularizer=own, **rest)

    @staticmethod
    def sources(spec: DataSpec) -> dict[str, Modality]:
        """Return the conditions of the data other than a label."""
        return {name: modality for name, modality in spec.conditions.items() if name != "label"}

    def phases(self, spec: DataSpec) -> Sequence[Phase]:
        """Return the phases of a run on data like `spec`, in order; the last ends at `steps`.

        Between two phases the networks are built again, and weights of the same name and shape are kept. By
        default there is one phase.
        """
        return [Phase(self.steps, self, spec)]

    def keeping_phases(self, steps: int, done: int, spec: DataSpec) -> Mapping[str, Any]:
        """Return the options with which the phases that end by step `done` still end there in a run of `steps`.

        `spec` is that of the data.
        """
        return {}

    def rate(self) -> Schedule:
        """Return the factor on all learning rates as a function of the step."""
        from genlab.core.schedules import RATES

        return self.part(RATES, self.lr_schedule)(self.schedule_length)

    def half_life(self) -> Schedule:
        """Return the factor on the half-life of the averaged weights as a function of the step."""
        from genlab.core.schedules import constant

        return constant()

    @property
    def schedule_length(self) -> int:
        """The steps over which schedules run."""
        return self.schedule_steps or self.steps

    def schedules(self) -> dict[str, Schedule]:
        """Return what changes over the steps of a run and depends on their number, by the option that sets it."""
        return {"lr_schedule": self.rate()} if self.lr_schedule != "constant" else {}


@dataclass(frozen=True)
class LatentRecipe(Recipe):
    """A model between images and vectors."""

    architecture: ArchitectureName = option(
        "dcgan",
        "network architecture; dcgan-upsample avoids checkerboard artefacts, mlp also takes points",
        part="architecture",
    )
    depth: int | None = option(None, "hidden layers of mlp; 2 by default", least=1, most=1000)
    latent: int = option(
        100, "dimensions of the latent vector; raise it for varied data", least=1, aliases=("latent_dim",)
    )


@dataclass(frozen=True)
class UnknownRecipe(Recipe):
    """What can be read of a recipe whose own family is not registered: the options that every family has."""

    family: ClassVar[str] = "unknown"

    def model(self, spec: DataSpec) -> nn.Module:
        """Refuse: the family is not registered."""
        raise self._unknown()

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Refuse: the family is not registered."""
        raise self._unknown()

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Refuse: nobody knows which options can be combined."""
        raise self._unknown()

    @staticmethod
    def _unknown() -> UsageError:
        return UsageError(
            "the family of this run is not registered. Load the file that registers it: --plugin FILE."
        )
