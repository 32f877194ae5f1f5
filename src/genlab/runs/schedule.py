"""Fits or keeps the schedules of a run that is resumed for another number of steps."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec
from genlab.core.schedules import Schedule
from genlab.recipes.fields import flag
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import Plan
from genlab.runs.phases import phase_at, phases_of

ScheduleChange: TypeAlias = Literal["stretch", "keep"] | None
POINTS = 1000  # steps at which two schedules are compared


def rescheduled(
    before: Plan, after: Plan, change: ScheduleChange, spec: DataSpec, step: int
) -> tuple[Plan, Mapping[str, str]]:
    """Return the plan of a run that is resumed at `step`, and a note on its schedules.

    Args:
        before: the plan until now.
        after: the plan with the new number of steps.
        change: "stretch" fits schedules to the new steps; "keep" leaves them as they were planned, so that they
            stay at their last value from there on. It is recorded in the recipe, and holds for later resumes too.
        spec: of the data.
        step: of the checkpoint.

    Raises:
        UsageError: schedules would change, and `change` is None.
    """
    old, new = before.recipe.schedule_length, after.recipe.steps  # new ones before `step` are refused later
    stretched = after.changed({"schedule_steps": None})
    moved = _moved(before.recipe, stretched.recipe, spec, step)
    if not moved or new < step or (change is None and (before.recipe.schedule_steps or not step)):
        return after, {}
    jumps = ", ".join(f"{flag(n)} from {one(step):.4g} to {two(step):.4g}" for n, (one, two) in moved.items())
    if change == "stretch":
        return stretched, {"schedule": f"stretched from {old:,} to {new:,} steps at step {step:,}: {jumps}"}
    if change == "keep":
        return after.changed({"schedule_steps": old}), {"schedule": f"kept as planned for {old:,} steps"}
    later = ", ".join(f"{flag(name)} stays at {one(new):.4g}" for name, (one, _) in moved.items())
    later = f"; after step {old:,} {later}" if new > old else ""
    raise UsageError(
        f"this run was planned for {old:,} steps, and its schedules depend on that number. With "
        f"--steps {new}, give --stretch-schedule to fit them to it, so that they jump at step {step:,} "
        f"({jumps}), or --keep-schedule to leave them as they were planned{later}."
    )


def _moved(before: Recipe, after: Recipe, spec: DataSpec, step: int) -> dict[str, tuple[Schedule, Schedule]]:
    """Return the schedules of the phase at `step` that differ, old and new, by the option that sets them."""
    one, two = (phases[phase_at(phases, step)].recipe for phases in (phases_of(r, spec) for r in (before, after)))
    shared = min(one.steps, two.steps)
    steps = range(0, shared + 1, max(shared // POINTS, 1))
    new = two.schedules()
    return {
        name: (old, new[name])
        for name, old in one.schedules().items()
        if any(old(each) != new[name](each) for each in steps)
    }
