"""Checks that a model has the capability that an application needs."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TypeVar

import torch
from torch import nn

from genlab.core.condition import SOURCE, SOURCE_LABEL, STYLE
from genlab.core.contract import CAPABILITIES, Samples, capabilities
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Images, Modality
from genlab.core.reading import Reads
from genlab.data.degradations import chain
from genlab.recipes.presets import PRESETS, TABLES
from genlab.recipes.recipe import Recipe

P = TypeVar("P")
SIDES, CHANNELS = (8, 16, 32, 64), (1, 3)


def need(model: nn.Module, protocol: type[P], purpose: str) -> P:
    """Return `model`, typed as `protocol`.

    Raises:
        GenlabError: it lacks the protocol; the message says what the model can do, and which presets have it.
    """
    if isinstance(model, protocol):
        return model
    wanted = next(name for name, known in CAPABILITIES.items() if known is protocol)
    pictures = isinstance(getattr(model, "modality", None), Images)
    able = [name for name in presets_with(protocol) if not (pictures and name in TABLES)]
    raise GenlabError(
        f"{purpose} needs a model that can {wanted}; this one can "
        f"{', '.join(capabilities(model)) or 'do nothing of the kind'}. Try: {', '.join(able)}."
    )


def need_label(model: Samples) -> None:
    """Check that `model` takes labels.

    Raises:
        GenlabError: it does not; the message says which presets do.
    """
    if "label" in model.conditions:
        return
    able = [preset for preset, recipe in PRESETS.items() if "label" in getattr(_model(recipe), "conditions", {})]
    raise GenlabError(
        f"this model was trained without labels, so no label can be asked for. Try: {', '.join(able)}."
    )


def presets_with(protocol: type) -> list[str]:
    """Return the presets whose models have `protocol`."""
    return [name for name, recipe in PRESETS.items() if isinstance(_model(recipe), protocol)]


def _model(recipe: Recipe) -> nn.Module:
    """Return the narrowest model of a recipe, for the smallest images that it takes: it is fast to build."""
    narrow = replace(recipe, width=1)
    with torch.random.fork_rng(devices=[]):
        for side, channels in product(SIDES, CHANNELS):
            with suppress(UsageError):
                return narrow.model(spec_for(recipe, Images(channels, side, side), Classes(("0", "1"))))
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
