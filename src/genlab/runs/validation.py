"""Refuses what cannot be trained, before anything is written."""

import torch

from genlab.core.distributed import Shard
from genlab.core.errors import UsageError
from genlab.data.dataset import Source
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import Plan
from genlab.runs import phases
from genlab.runs.memory import outline, refuse_oversized
from genlab.training.callbacks import Progress

CPU = torch.device("cpu")


def validate(recipe: Recipe, source: Source, shard: Shard, where: torch.device = CPU) -> None:
    """Refuse a recipe that cannot be trained, before anything is written.

    Raises:
        UsageError: parts exclude each other or do not fit the data, networks do not support the shape, the batch
            cannot be divided among the processes, or the memory of the device is too small.
        DataError: a phase needs images of a size that the data cannot be reduced to.
    """
    for phase in phases.phases_of(recipe, source.train.spec):
        _validate_batch(phase.recipe, shard)
        phase.recipe.refuse(phase.spec, shard.size)
        phases.resized(source, phase.spec)
        refuse_oversized(phase, outline(phase), shard.size, where)


def _validate_batch(recipe: Recipe, shard: Shard) -> None:
    if recipe.batch_size % shard.size:
        raise UsageError(f"--batch-size {recipe.batch_size} cannot be divided among {shard.size} processes")
    rows = recipe.batch_size // shard.size
    least = recipe.fewest
    if rows % recipe.accumulate or rows < least * recipe.accumulate:
        choices = ", ".join(str(count) for count in range(1, rows // least + 1) if rows % count == 0)
        raise UsageError(
            f"--accumulate {recipe.accumulate} does not cut the {rows} images per process of --batch-size "
            f"{recipe.batch_size} into equal parts of {least} or more. Choices: {choices or 1}."
        )


def refuse_spent(plan: Plan, progress: Progress) -> None:
    """Refuse to resume a run without steps or minutes left.

    Raises:
        UsageError: it is beyond its steps, or has used up its minutes.
    """
    steps, minutes = plan.recipe.steps, plan.settings.minutes
    if steps < progress.step:
        raise UsageError(f"this run is already at step {progress.step}, beyond --steps {steps}")
    if minutes and progress.seconds >= 60 * minutes and progress.step < steps:
        raise UsageError(
            f"this run used up its {minutes:g} minutes at step {progress.step} of {steps}; "
            "set more --minutes, or --steps without a time limit"
        )
