"""`genlab resume`: continue a run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.recipes.settings import DeviceName, FailureName, PrecisionName
from genlab.verbs.options import RUNS, File, RunName, SourceName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.train import Result


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
    quiet: bool = False,
    root: File = RUNS,
    **_fixed: Any,  # noqa: ANN401 (options that cannot change)
) -> "Result":
    """Continue a run from its last checkpoint, bit for bit as if it had never stopped.

    Args:
        steps: Train up to this many steps in total.
        minutes: Train for this many minutes in total.
        patience: Stop after this many evaluations without improvement.
        on_failure: What to do if the doctor finds a failure; treat goes back and applies a remedy.
        device: Device to compute on from now on.
        precision: Precision inside the networks from now on.
        quiet: Write nothing to the terminal.

    Returns:
        The run.

    Raises:
        UsageError: no such run, an option that cannot change, or steps that move the end of a finished phase.
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
    return train.resume(os.fspath(run), {**given, **_fixed}, root=Path(root), quiet=quiet)
