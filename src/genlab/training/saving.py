"""Saving a training and taking it up again, between the loop and the checkpoints on the disk."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genlab.core.contract import Training
from genlab.core.errors import CheckpointError
from genlab.training import checkpoint
from genlab.training.average import Average
from genlab.training.fit import Progress
from genlab.training.run_folder import RunFolder
from genlab.training.state import collect, restore


def save(
    folder: RunFolder,
    training: Training,
    average: Average | None,
    progress: Progress,
    best: bool,
    *,
    keep: bool = False,
    sick: bool = False,
) -> None:
    """Write the checkpoint `last`, and let `best` be the same if it is.

    With `keep` the one before becomes `healthy`, unless the run is `sick`: nothing was found since it was written.

    Raises:
        NonFiniteError: a tensor is NaN or infinite; nothing was written.
        StorageError: the disk refused; the previous checkpoint is whole.
    """
    model, rest = collect(training, average)
    if keep and not sick and checkpoint.exists(folder.last):
        checkpoint.link(folder.last, folder.healthy)
    checkpoint.save(checkpoint.Checkpoint(model, rest, progress.state()), folder.last)
    if best:
        checkpoint.link(folder.last, folder.best)


def recover(folder: RunFolder) -> None:
    """Finish what a kill interrupted: a swap of checkpoints, or the step from `last` to `best`."""
    checkpoint.recover(folder.last)
    checkpoint.recover(folder.best)
    checkpoint.recover(folder.healthy)
    if folder.last.exists():
        state = checkpoint.load_state(folder.last)
        if state["best_step"] == state["step"] and state["best_value"] < _best(folder).get("best_value", math.inf):
            checkpoint.link(folder.last, folder.best)


def resume(folder: RunFolder, training: Training, average: Average | None) -> Progress:
    """Put the checkpoint `last` into `training` and `average` and return how far it was; 0 if there is none.

    What is the best so far is what the checkpoint `best` says: it may be newer, where a treatment went back.

    Raises:
        CheckpointError: it is not whole, or belongs to another recipe.
    """
    progress = Progress()
    if folder.last.exists():
        saved = checkpoint.load(folder.last)
        restore(saved, training, average)
        try:
            progress = Progress(**saved.state)
        except TypeError as error:
            raise CheckpointError(
                f"{folder.last / checkpoint.STATE} does not say how far the run was: {error}"
            ) from None
    best = _best(folder)
    return replace(progress, best_value=best["best_value"], best_step=best["best_step"]) if best else progress


def _best(folder: RunFolder) -> Mapping[str, Any]:
    """Return the state of the checkpoint `best`; nothing where there is none that is whole."""
    try:
        return checkpoint.load_state(folder.best)
    except CheckpointError:
        return {}
