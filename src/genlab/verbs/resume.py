"""`genlab resume`: continue a run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.recipes.settings import DeviceName, FailureName, PrecisionName
from genlab.verbs.options import RUNS, File, RunName, SourceName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.result import Result
    from genlab.runs.schedule import ScheduleChange


@verb
def resume(
    run: RunName = "latest",
    *,
    steps: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    on_failure: FailureName | None = None,
    device: DeviceName | None = None,
    precision: PrecisionName | None = None,
    data: SourceName = None,
    stretch_schedule: bool = False,
    keep_schedule: bool = False,
    quiet: bool = False,
    root: File = RUNS,
    **_fixed: Any,  # noqa: ANN401 (options that cannot change)
) -> "Result":
    """Continue a run from its last checkpoint, bit for bit as if it had never stopped.

    Another number of steps changes the course of a run whose learning rate, KL weight or instance noise follows a
    schedule. It needs --stretch-schedule or --keep-schedule.

    Args:
        steps: Train up to this many steps in total.
        minutes: Train for this many minutes in total.
        patience: Stop after this many evaluations without improvement.
        on_failure: What to do if the doctor finds a failure; treat goes back and applies a remedy.
        device: Device to compute on from now on.
        precision: Precision inside the networks from now on.
        stretch_schedule: Fit schedules to the new number of steps; values such as the learning rate jump.
        keep_schedule: Keep schedules as they were planned; after their end they stay at their last value.
        quiet: Write nothing to the terminal.

    Returns:
        The run.

    Raises:
        UsageError: no such run, an option that cannot change, steps that move the end of a finished phase, or that
            change a schedule without `stretch_schedule` or `keep_schedule`.
        CheckpointError: the checkpoint is damaged, or the data have changed.
    """
    from genlab.runs import train

    changes = {
        "steps": steps,
        "minutes": minutes,
        "patience": patience,
        "on_failure": on_failure,
        "device": device,
        "precision": precision,
        "data": None if data is None else os.fspath(data),
    }
    given = {name: value for name, value in changes.items() if value is not None}
    if stretch_schedule and keep_schedule:
        raise UsageError("--stretch-schedule and --keep-schedule exclude each other. Give one of them.")
    if (stretch_schedule or keep_schedule) and steps is None:
        raise UsageError("--stretch-schedule and --keep-schedule need another number of steps: give --steps, too.")
    schedule: ScheduleChange = "stretch" if stretch_schedule else "keep" if keep_schedule else None
    return train.resume(os.fspath(run), {**given, **_fixed}, root=Path(root), quiet=quiet, schedule=schedule)
