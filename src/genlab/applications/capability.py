"""Checks that a model has the capability that an application needs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TypeAlias, TypeVar

import torch
from torch import nn

from genlab.core.condition import SOURCE, SOURCE_LABEL, STYLE, required_conditions
from genlab.core.contract import CAPABILITIES, Samples, capabilities
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Images, Modality
from genlab.core.reading import Reads
from genlab.core.table import Table
from genlab.data.degradations import chain
from genlab.recipes.presets import PRESETS, TABLES
from genlab.recipes.recipe import Recipe

P = TypeVar("P")
Suits: TypeAlias = Callable[[nn.Module], bool]
SIDES, CHANNELS = (8, 16, 32, 64), (1, 3)


def unaided(model: nn.Module) -> bool:
    """Return whether `model` takes no condition that must be given, such as a source."""
    return not required_conditions(_conditions(model))


def draws_classes(model: nn.Module) -> bool:
    """Return whether `model` can be sampled by a label alone."""
    return "label" in _conditions(model) and unaided(model)


def _conditions(model: nn.Module) -> Mapping[str, Modality]:
    return getattr(model, "conditions", {})


def need(model: nn.Module, protocol: type[P], purpose: str, suits: Suits = unaided) -> P:
    """Return `model`, typed as `protocol`.

    Args:
        model: the model.
        protocol: the capability.
        purpose: what needs it.
        suits: what else `purpose` needs of a model with the capability, if there are such presets.

    Raises:
        GenlabError: it lacks the protocol; the message says what the model can do, and which presets suit.
    """
    if isinstance(model, protocol):
        return model
    wanted = next(name for name, known in CAPABILITIES.items() if known is protocol)
    able = suiting(model, lambda other: isinstance(other, protocol) and suits(other))
    able = able or suiting(model, lambda other: isinstance(other, protocol))
    raise GenlabError(
        f"{purpose} needs a model that can {wanted}; this one can "
        f"{', '.join(capabilities(model)) or 'do nothing of the kind'}. Try: {', '.join(able)}."
    )


def need_label(model: Samples) -> None:
    """Check that `model` takes labels.

    Raises:
        GenlabError: it does not; the message says which presets do, and need a source only if `model` does.
    """
    if "label" in model.conditions:
        return
    sourced = bool(required_conditions(model.conditions))
    assert isinstance(model, nn.Module)
    able = suiting(model, lambda other: "label" in _conditions(other) and unaided(other) != sourced)
    raise GenlabError(
        f"this model was trained without labels, so no label can be asked for. Try: {', '.join(able)}."
    )


def suiting(model: nn.Module, suits: Suits) -> list[str]:
    """Return the presets whose models suit, of those for tables only if `model` is of one."""
    found = [name for name, recipe in PRESETS.items() if suits(_model(recipe))]
    modality = getattr(model, "modality", None)
    of_tables = isinstance(modality, Table)
    return [name for name in found if modality is None or (name in TABLES) == of_tables] or found


def _model(recipe: Recipe) -> nn.Module:
    """Return the narrowest model of a recipe, for the smallest images that it takes: it is fast to build."""
    narrow = replace(recipe, width=1)
    with torch.random.fork_rng(devices=[]):
        for side, channels in product(SIDES, CHANNELS):
            with suppress(UsageError):
                return narrow.model(spec_for(recipe, Images(channels, side, side), Classes(("0", "1")))).eval()
    raise AssertionError(recipe)


def spec_for(recipe: Recipe, images: Images, label: Classes) -> DataSpec:
    """Return the spec of images as `open_data` opens them for a recipe."""
    source = {SOURCE: images}
    given: Mapping[Reads, Mapping[str, Modality]] = {
        "examples": {"label": label},
        "pairs": source,
        "sides": source,
        "domains": {"label": label, **source, SOURCE_LABEL: label},
        "styles": {**source, STYLE: images},
        "degraded": {
            "label": label,
            **(chain(recipe.degradations).conditions(images) if recipe.degradations else {}),
        },
    }
    return DataSpec(images, given[recipe.reads], aligned=recipe.reads in ("examples", "pairs", "degraded"))
