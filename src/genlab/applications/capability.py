"""Applications ask for what a model can do, not for what it is."""

from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from genlab.core.batch import ImageShape
from genlab.core.contract import CAPABILITIES, TakesLabels, capabilities, takes_labels
from genlab.core.errors import GenlabError, UsageError
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe

P = TypeVar("P")
SIDES = (8, 16, 32)


def need(model: nn.Module, protocol: type[P], purpose: str) -> P:
    """Return `model` as one that has `protocol`.

    Raises:
        GenlabError: it has not; the message says what the model can do, and which presets have it.
    """
    if isinstance(model, protocol):
        return model
    wanted = next(name for name, known in CAPABILITIES.items() if known is protocol)
    raise GenlabError(
        f"{purpose} needs a model that can {wanted}; this {type(model).__name__} can "
        f"{', '.join(capabilities(model)) or 'do nothing of the kind'}. Try: {', '.join(presets_with(protocol))}."
    )


def need_labels(model: nn.Module) -> TakesLabels:
    """Return `model` as one that makes images of a class that one asks for.

    Raises:
        GenlabError: it knows no classes; the message says which presets do.
    """
    if takes_labels(model):
        return model
    able = [name for name, recipe in PRESETS.items() if takes_labels(_model(recipe))]
    raise GenlabError(
        f"a label needs a model that was trained with labels; this {type(model).__name__} was not. "
        f"Try: {', '.join(able)}."
    )


def presets_with(protocol: type) -> list[str]:
    """Return the presets whose models have `protocol`."""
    return [name for name, recipe in PRESETS.items() if isinstance(_model(recipe), protocol)]


def _model(recipe: Recipe) -> nn.Module:
    """Return the narrowest model of a recipe, for the smallest images it takes: somebody waits for an answer."""
    narrow = replace(recipe, width=1)
    with torch.random.fork_rng(devices=[]):
        for side in SIDES:
            with suppress(UsageError):
                return narrow.model(ImageShape(1, side, side), classes=2)
    raise AssertionError(recipe)
