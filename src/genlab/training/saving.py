"""Saves a training to its run folder, and loads the last checkpoint."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from genlab.core.contract import Training
from genlab.core.errors import CheckpointError
from genlab.training import checkpoint
from genlab.training.average import Average
from genlab.training.callbacks import Progress
from genlab.training.checkpoint import Checkpoint
from genlab.training.run_folder import RunFolder
from genlab.training.state import collect


def save(
    folder: RunFolder,
    training: Training,
    average: Average | None,
    progress: Progress,
    *,
    best: bool = False,
    keep_healthy: bool = False,
    about: Mapping[str, Any] = checkpoint.NOTHING,
) -> None:
    """Write the checkpoint `last`; with `best`, also as `best`; `about` says what the model is.

    With `keep_healthy` the previous `last` becomes `healthy`: the doctor has found no failure since then.

    Raises:
        NonFiniteError: a tensor is NaN or infinite; nothing was written.
        StorageError: the disk refused; the previous checkpoint is whole.
    """
    model, rest = collect(training, average)
    if keep_healthy and checkpoint.exists(folder.last):
        checkpoint.link(folder.last, folder.healthy)
    checkpoint.save(Checkpoint(model, rest, progress.state(), about=about), folder.last)
    if best:
        checkpoint.link(folder.last, folder.best)


def recover(folder: RunFolder) -> None:
    """Finish what a kill interrupted: the swap of two checkpoints, or the link from `best` to `last`."""
    checkpoint.recover(folder.last)
    checkpoint.recover(folder.best)
    checkpoint.recover(folder.healthy)
    if folder.last.exists():
        state = checkpoint.load_state(folder.last)
        known = best_state(folder).get("best_value", math.inf)
        value = state.get("best_value")
        if state.get("best_step") == state["step"] and value is not None and value < known:
            checkpoint.link(folder.last, folder.best)


def load_last(folder: RunFolder) -> tuple[Checkpoint | None, Progress]:
    """Return the checkpoint `last` and its progress; None and step 0 if there is none.

    The best value so far is read from the checkpoint `best`, which may be newer: a treatment goes back.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    saved, progress = None, Progress()
    if folder.last.exists():
        saved = checkpoint.load(folder.last)
        try:
            progress = Progress(**saved.state)
        except TypeError as error:
            raise CheckpointError(
                f"{folder.last / checkpoint.STATE} does not hold the progress of the run: {error}"
            ) from None
    best = best_state(folder)
    if best:
        progress = replace(progress, best_value=best["best_value"], best_step=best["best_step"])
    return saved, progress


def best_state(folder: RunFolder) -> Mapping[str, Any]:
    """Return the state of the checkpoint `best`; empty if it is missing, damaged or of no evaluation."""
    try:
        state = checkpoint.load_state(folder.best)
    except CheckpointError:
        return {}
    return {} if state.get("best_value") is None or state.get("best_step") is None else state


def complete(folder: RunFolder, then: str = "") -> str:
    """Return in words which checkpoints of a run that ended early are complete, and `then` if one is the last."""
    steps = {}
    for place in (folder.last, folder.best):
        with suppress(CheckpointError):
            steps[place.name] = f"{place.name} of step {checkpoint.load_state(place)['step']:,}"
    if not steps:
        return "No checkpoint of this run has been saved."
    verb = "checkpoints are" if len(steps) > 1 else "checkpoint is"
    return f"Its {verb} complete: {', '.join(steps.values())}.{then * ('last' in steps)}"
