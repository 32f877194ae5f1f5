"""Loads the model of a run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from genlab.architectures.mixed import Mixed, compute_in
from genlab.core import device as devices
from genlab.core.errors import CheckpointError, UsageError
from genlab.core.text import typed
from genlab.recipes.recipe import Recipe
from genlab.recipes.settings import CheckpointName
from genlab.runs.data import plan_of, spec_of
from genlab.runs.phases import phase_at, phases_of
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder
from genlab.training.state import load_weights

UNET_SCHEMA = 3  # first schema of checkpoints in which a U-Net has width // 16 groups everywhere


def load_model(
    folder: RunFolder,
    which: CheckpointName | None = None,
    device: str = "cpu",
    sampling: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a run's model in evaluation mode with frozen weights.

    `which` checkpoint: by default the best if there is one, else the last. The model has the networks of the
    checkpoint's phase, computes in the precision of the run (a flow in float32), and samples as in the recipe,
    except for the options in `sampling`.

    Raises:
        UsageError: `sampling` has an option that the model lacks, or a value that it does not take.
        CheckpointError: there is no checkpoint, or it is damaged.
    """
    plan = plan_of(folder).sampled(sampling or {})
    place = _place(folder, _which(folder, which))
    refuse_outdated(plan.recipe, place)
    saved = checkpoint.load(place)
    phases = phases_of(plan.recipe, spec_of(folder))
    phase = phases[phase_at(phases, saved.state["step"])]
    with torch.random.fork_rng():
        model = phase.recipe.model(phase.spec)
    load_weights(model, saved.model)
    where = devices.find_device(device)
    compute_in(replace(plan, recipe=phase.recipe).dtype(where), model)
    return devices.to_device(model, where).eval().requires_grad_(False)


def refuse_outdated(recipe: Recipe, place: Path) -> None:
    """Refuse a checkpoint whose weights would load into today's networks, but be wrong.

    Raises:
        CheckpointError: it has a U-Net of genlab 0.1, which normalised other groups of channels.
    """
    if recipe.architecture == "unet" and checkpoint.schema_of(place) < UNET_SCHEMA:
        run = place.parents[1]
        raise CheckpointError(
            f"{place} was written by genlab 0.1, whose U-Net normalised other groups of channels: its weights "
            f"would load, but be wrong. Train it again: {typed('genlab', 'train', run / 'recipe.yaml')}"
        )


def precision(model: nn.Module) -> str:
    """Return the name of the data type that the networks of `model` multiply in; the shortest of several."""
    types = (module.multiplies_in for module in model.modules() if isinstance(module, Mixed))
    return str(min(types, key=lambda dtype: dtype.itemsize, default=torch.float32)).removeprefix("torch.")


def saved_step(folder: RunFolder, which: CheckpointName | None = None) -> tuple[CheckpointName, int]:
    """Return the name and the step of the checkpoint that `load_model` would load.

    Raises:
        CheckpointError: there is no checkpoint, or its state is damaged.
    """
    which = _which(folder, which)
    return which, int(checkpoint.load_state(_place(folder, which))["step"])


def _which(folder: RunFolder, which: CheckpointName | None) -> CheckpointName:
    if which not in (None, *get_args(CheckpointName)):
        raise UsageError(f'no checkpoint "{which}". Choices: {", ".join(get_args(CheckpointName))}.')
    there = checkpoint.exists(folder.best)
    if which == "best" and not there and checkpoint.exists(folder.last):
        raise CheckpointError(
            f"{folder.path} has no best checkpoint: only evaluations every --evaluate-every steps can be best, "
            "and the run has had none. Use --checkpoint last."
        )
    return which or ("best" if there else "last")


def _place(folder: RunFolder, which: CheckpointName) -> Path:
    return folder.best if which == "best" else folder.last
