"""`genlab.load`: the model of a run."""

import os
from typing import TYPE_CHECKING, Any

from genlab.recipes.settings import CheckpointName, DeviceName
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.using import located
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from torch import nn


@verb
def load(
    run: RunName = "latest",
    *,
    checkpoint: CheckpointName | None = None,
    device: DeviceName = "cpu",
    root: File = RUNS,
    **sampling: Any,  # noqa: ANN401 (checked by the recipe)
) -> "nn.Module":
    """Load the model of a run, ready to use: `sample`, `encode`, `decode`, `reconstruct`, if it has them.

    Returns:
        The model in evaluation mode, with frozen weights; `model.loaded_from` is its checkpoint.

    Raises:
        UsageError: there is no such run or no such sampling option.
        CheckpointError: its checkpoint is missing, cut short, altered or newer.
    """
    from genlab.runs.load import load_model, loaded_from, log_checkpoint

    folder, checkpoint = located(os.fspath(run), root, checkpoint)
    model = load_model(folder, checkpoint, device, sampling)
    log_checkpoint(folder, loaded_from(model))
    return model
