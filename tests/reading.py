"""The data that a recipe reads, so that a test of every preset has no case for those that translate."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import required_conditions
from genlab.core.modality import DataSpec, Images, Modality
from genlab.core.reading import Reads
from genlab.data.dataset import Dataset, Source, Split
from genlab.data.degradations import chain
from genlab.data.restoration import open_degraded
from genlab.data.source import open_source
from genlab.data.translation import open_translation
from genlab.data.wrappers import Paired
from genlab.recipes.recipe import Recipe

FROM_PAIRS: tuple[Reads, ...] = ("pairs", "sides", "styles")


def data_of(recipe: Recipe) -> dict[str, Any]:
    """Return the options of the data that a recipe can be trained on."""
    colours = {"channels": 3} if needs_colours(recipe) else {}
    return {"data": _name(recipe), **colours}


def needs_colours(recipe: Recipe) -> bool:
    """Whether a recipe learns the colours of grey pictures."""
    return "grey=1" in recipe.degradations


def _name(recipe: Recipe) -> str:
    return "paired-digits" if recipe.reads in FROM_PAIRS else "digits"


def opened(recipe: Recipe, size: int = 16) -> Source:
    """Return these data as the recipe reads them."""
    return _opened(_name(recipe), recipe.reads, recipe.degradations, size, colours=needs_colours(recipe))


@cache
def _opened(name: str, reads: Reads, degradations: tuple[str, ...], size: int, *, colours: bool) -> Source:
    if not degradations:
        return open_translation(name, reads, size=size)
    if not colours:
        return open_degraded(name, degradations, size=size)
    train, held_out = coloured(range(200), size), coloured(range(200, 300), size)
    return open_degraded(Source("colours", train, held_out, len(train) + len(held_out)), degradations)


def coloured(which: range, size: int = 16) -> Dataset:
    """Return some of the digits with channels that differ."""
    digits = open_source("digits", size=size).train
    first, second = digits.values[np.array(which)], digits.values[np.array(which) + len(which)]
    values = np.concatenate([first, 255 - first, second], axis=1)
    assert digits.labels is not None
    return Dataset("colours", values, digits.labels[np.array(which)], digits.spec.class_names, "hash")


def spec_of(recipe: Recipe, target: Images) -> DataSpec:
    """Return the spec of such data, with images like `target`."""
    spec = opened(recipe).train.spec
    given = {name: target if isinstance(its, Images) else its for name, its in spec.conditions.items()}
    given |= chain(recipe.degradations).conditions(target) if recipe.degradations else {}
    return replace(spec, target=target, conditions=given)


def as_read(recipe: Recipe, labelled: Dataset) -> Split:
    """Return labelled images as the recipe reads them; pairs are of each image and the one before it."""
    split: Split = labelled
    if recipe.reads in FROM_PAIRS:
        plain = replace(labelled, labels=None, classes=())
        split = Paired(plain, replace(plain, values=np.roll(plain.values, 1, axis=0)))
    source = Source(labelled.name, split, split, len(split))
    if recipe.degradations:
        return open_degraded(source, recipe.degradations).train
    return open_translation(source, recipe.reads).train


def fitting(recipe: Recipe) -> dict[str, str]:
    """Return the options with which a recipe takes images of 16 pixels."""
    patches = getattr(recipe, "discriminator", "").startswith("patch-")
    return {"discriminator": "patch-16"} if patches else {}


def blank(spec: DataSpec, count: int) -> Batch:
    """Return `count` grey examples, with labels in turn and grey conditions."""
    given = {name: _blank(modality, count) for name, modality in spec.conditions.items()}
    return Batch(torch.zeros(count, *spec.target.shape), torch.arange(count), given)


def _blank(modality: Modality, count: int) -> Tensor:
    default = modality.default(count)
    return torch.zeros(count, *modality.shape) if default is None else default


def drawn(model: nn.Module, count: int) -> dict[str, Tensor]:
    """Return random values of the conditions that a model cannot do without, the same each time."""
    taken: Mapping[str, Modality] = getattr(model, "conditions", {})
    noise = torch.Generator().manual_seed(count)
    names = required_conditions(taken)
    return {name: 2 * torch.rand(count, *taken[name].shape, generator=noise) - 1 for name in names}


def needed(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Return the conditions of a batch that a model cannot do without."""
    return batch.condition_for(required_conditions(getattr(model, "conditions", {})))
