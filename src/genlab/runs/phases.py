"""The phases of a run: builds the networks of each phase, and carries weights over from the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from genlab.architectures.mixed import compute_in
from genlab.core import device
from genlab.core.contract import Training
from genlab.core.distributed import Shard
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec
from genlab.core.random import Randomness, derive_seed
from genlab.data.dataset import Source
from genlab.data.wrappers import Resized
from genlab.recipes.recipe import Phase, Recipe
from genlab.recipes.resolve import Plan
from genlab.runs.memory import outline
from genlab.training.average import Average
from genlab.training.checkpoint import Checkpoint
from genlab.training.run_folder import RunFolder
from genlab.training.state import carry_over, restore


@dataclass(frozen=True)
class RunSetup:
    """What is common to all phases of a training: its plan, data and folder."""

    plan: Plan
    source: Source
    folder: RunFolder
    shard: Shard
    notes: Mapping[str, str] = field(default_factory=dict)  # for the run's events

    @cached_property
    def phases(self) -> Sequence[Phase]:
        """The phases in order."""
        return phases_of(self.plan.recipe, self.source.train.spec)

    @cached_property
    def device(self) -> torch.device:
        """The device that the run computes on."""
        return device.find_device(self.plan.settings.device)


@dataclass(frozen=True)
class CurrentPhase:
    """The phase that is being trained, with its data, networks and weights."""

    number: int  # from 0
    phase: Phase
    source: Source  # at the resolution of the phase
    training: Training
    average: Average | None
    carried: int  # tensors of the model that were carried over from a checkpoint

    def event(self) -> dict[str, int]:
        """Return the start of the phase as plain values."""
        new = len(self.training.model.state_dict()) - self.carried
        return {"phase": self.number + 1, "carried": self.carried, "new": new}


def start(run: RunSetup, number: int, saved: Checkpoint | None) -> CurrentPhase:
    """Build a phase of a run, and continue from the checkpoint `saved`.

    A new run has no checkpoint (None). A checkpoint of the same phase restores everything: the run is resumed.
    From one of the phase before, tensors whose name and shape match are carried over. A treatment does the same:
    it continues from a healthy checkpoint, or without one if the networks differ.

    Raises:
        CheckpointError: a checkpoint of this phase does not fit its networks.
    """
    phase = run.phases[number]
    plan = replace(run.plan, recipe=phase.recipe)
    randomness = Randomness(plan.settings.seed, run.shard, run.device)
    training = build(phase.recipe, phase.spec, randomness, plan.dtype(run.device), number)
    recipe = phase.recipe
    average = Average(training.model, recipe.ema, recipe.half_life()) if recipe.ema else None
    carried = 0
    if saved and phase_at(run.phases, saved.state["step"]) == number:
        restore(saved, training, average)
        carried = len(saved.model)
    elif saved:
        carried = len(carry_over(saved, training, average))
    return CurrentPhase(number, phase, resized(run.source, phase.spec), training, average, carried)


def build(
    recipe: Recipe, spec: DataSpec, randomness: Randomness, dtype: torch.dtype = torch.float32, phase: int = 0
) -> Training:
    """Return the training of a recipe; its networks multiply in `dtype`.

    The initial weights depend only on the seed and the number of the phase.
    """
    purpose = ("initial weights", "phase", phase) if phase else ("initial weights",)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(randomness.seed, *purpose))
        model = recipe.model(spec)
    compute_in(dtype, model)
    return recipe.training(device.to_device(model, randomness.device), randomness)


def resized(source: Source, spec: DataSpec) -> Source:
    """Return the data of a phase: images at its resolution.

    Raises:
        DataError: the resolution of the data is not a multiple of it.
    """
    if source.train.spec.target == spec.target:
        return source
    train, held_out = (Resized(split, spec.target) for split in (source.train, source.held_out))
    return replace(source, train=train, held_out=held_out)


def phases_of(recipe: Recipe, spec: DataSpec) -> Sequence[Phase]:
    """Return the phases of a run.

    Raises:
        UsageError: a phase has no step, or the last one does not end with the run.
    """
    phases = recipe.phases(spec)
    ends = [phase.steps for phase in phases]
    if ends != sorted({0, *ends})[1:] or ends[-1:] != [recipe.steps]:
        raise UsageError(
            f"--steps {recipe.steps} do not divide into {len(phases)} phases, which would end at steps "
            f"{', '.join(map(str, ends))}. Each needs at least one step, and the last must end with the run."
        )
    return phases


def phase_at(phases: Sequence[Phase], step: int) -> int:
    """Return the number, from 0, of the phase that takes step number `step`, from 1; 0 before the first step."""
    return next((number for number, phase in enumerate(phases) if step <= phase.steps), len(phases) - 1)


def can_continue(before: Recipe, after: Recipe, spec: DataSpec, step: int) -> bool:
    """Whether a run can continue from `step` with another recipe: in the same phase, with the same networks."""
    one, two = phases_of(before, spec), phases_of(after, spec)
    number = phase_at(one, step)
    begun = [phase.steps for phase in one[:number]]
    if phase_at(two, step) != number or [phase.steps for phase in two[:number]] != begun:
        return False
    return _shapes(one[number]) == _shapes(two[number])


def comparable(one: Phase, two: Phase) -> bool:
    """Whether evaluations of two phases are on one scale, so that the best checkpoint can be kept."""
    reconstructions = [getattr(phase.recipe, "reconstruction", None) for phase in (one, two)]
    same_scale = one.spec == two.spec and reconstructions[0] == reconstructions[1]
    return same_scale and _shapes(one) == _shapes(two)


def _shapes(phase: Phase) -> dict[str, torch.Size]:
    """Return the shapes of the weights of a phase by name."""
    return {name: value.shape for name, value in outline(phase).state_dict().items()}
