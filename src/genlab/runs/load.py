"""Loads the model of a run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genlab.architectures.mixed import Mixed, compute_in
from genlab.core import device as devices
from genlab.core.contract import SetsStatistics
from genlab.core.errors import CheckpointError
from genlab.core.text import typed
from genlab.core.warnings import LOG, warn_once
from genlab.recipes.recipe import Recipe
from genlab.recipes.settings import CheckpointName
from genlab.runs.memory import no_larger_than
from genlab.runs.phases import phase_at, phases_of
from genlab.runs.recorded import plan_of, spec_of
from genlab.runs.trained import changes
from genlab.training import checkpoint
from genlab.training.checkpoint import Checkpoint
from genlab.training.choice import Choice, choose
from genlab.training.matching import require_equal
from genlab.training.run_folder import RunFolder

LOADED = "loaded_from"  # attribute of a model
UNET_SCHEMA = 3  # first schema of checkpoints in which a U-Net has width // 16 groups everywhere


def load_model(
    folder: RunFolder,
    which: CheckpointName | None = None,
    device: str = "cpu",
    sampling: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a run's model in evaluation mode with frozen weights.

    `which` checkpoint: by default the better of best and last; the model's `loaded_from` says which one it is. The
    model has the networks of the checkpoint's phase, computes in the precision of the run (a flow in float32), and
    samples as in the recipe, except for the options in `sampling`.

    Raises:
        UsageError: `sampling` has an option that the model lacks, or a value that it does not take.
        CheckpointError: there is no checkpoint, or it is damaged.
    """
    recorded = plan_of(folder)
    plan = recorded.sampled(sampling or {})
    choice, saved = _load(folder, which, plan.recipe)
    if (changed := changes(recorded, saved.about)) and not folder.events("remedy"):
        warn_once(
            f"{folder.path / 'recipe.yaml'} was changed since the checkpoint {choice.name} was saved: {changed}. "
            "What the model generates may differ from what it was trained to."
        )
    phases = phases_of(plan.recipe, spec_of(folder))
    phase = phases[phase_at(phases, choice.step)]
    with torch.random.fork_rng(), no_larger_than(saved.model.values()):
        model = phase.recipe.model(phase.spec)
    require_equal(checkpoint.MODEL, saved.model, model.state_dict())
    model.load_state_dict(dict(saved.model))
    where = devices.find_device(device)
    compute_in(replace(plan, recipe=phase.recipe).dtype(where), model)
    model = devices.to_device(model, where).eval().requires_grad_(False)
    if isinstance(model, SetsStatistics):
        model.set_statistics()
    model.__dict__[LOADED] = choice
    return model


def loaded_from(model: nn.Module) -> Choice:
    """Return the checkpoint that `load_model` has loaded."""
    choice: Choice = model.__dict__[LOADED]
    return choice


def log_checkpoint(folder: RunFolder, choice: Choice) -> None:
    """Log which checkpoint of a run is used; the command line shows it."""
    LOG.info("%s: %s", folder.path.name, choice)


def _load(folder: RunFolder, which: CheckpointName | None, recipe: Recipe) -> tuple[Choice, Checkpoint]:
    """Choose a checkpoint and load it; again if the run that is training replaces it meanwhile."""
    while True:
        choice = choose(folder, which)
        place = folder.best if choice.name == "best" else folder.last
        refuse_outdated(recipe, place)
        saved = checkpoint.load(place)
        if saved.state["step"] == choice.step:
            return choice, saved


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
