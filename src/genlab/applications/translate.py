"""Translations of images by a model: which ones it makes, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genlab.applications.sample import by_row
from genlab.core.condition import SOURCE, STYLE, required_conditions
from genlab.core.contract import Restores, Samples, TranslatesBack
from genlab.core.device import device_of
from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.core.modality import DataSpec, Modality
from genlab.core.random import RowNoise
from genlab.recipes.presets import PRESETS


@dataclass(frozen=True)
class Way:
    """One translation that a model makes."""

    name: str  # of the domain that it translates into
    takes: Modality
    makes: Modality
    label: int | None = None  # of the domain, if the domains are classes
    backwards: bool = False  # from the target to the source


def ways_of(model: nn.Module, spec: DataSpec, domains: tuple[str, str]) -> Sequence[Way]:
    """Return all translations that a model makes; none if it generates without a source, or needs more than that.

    Args:
        model: the model.
        spec: of the data that it was trained on.
        domains: names of the source and of the target.
    """
    conditions = model.conditions if isinstance(model, Samples) else {}
    if required_conditions(conditions) != [SOURCE] or isinstance(model, Restores):
        return []
    source, target = conditions[SOURCE], spec.target
    if "label" in conditions:
        return [Way(name, source, target, label) for label, name in enumerate(spec.class_names)]
    there = Way(domains[1], source, target)
    back = Way(domains[0], target, source, backwards=True)
    return [there, back] if isinstance(model, TranslatesBack) else [there]


def needed(model: nn.Module, ways: Sequence[Way]) -> Sequence[Way]:
    """Return the translations of a model if it makes some, of pictures.

    Raises:
        GenlabError: it does not; the message says which presets do.
        UsageError: it translates something else than pictures.
    """
    if not ways:
        if isinstance(model, Restores):
            raise UsageError("this model restores pictures: use genlab upscale, genlab restore or genlab inpaint.")
        others = required_conditions(getattr(model, "conditions", {}))
        if STYLE in others:
            raise UsageError("this model gives a picture the style of another one: use genlab stylize.")
        if SOURCE in others:
            raise UsageError(
                f"this model needs more than a source: {', '.join(others)}. Use genlab.load(run).sample in Python."
            )
        raise GenlabError(
            "this model does not translate: it was trained without sources. "
            f"Train one that does, such as {', '.join(translating_presets())}: genlab recipes describes them."
        )
    way = ways[0]
    if way.takes.spatial != 2 or way.makes.spatial != 2:
        raise UsageError(
            f"this model translates {way.takes.noun} to {way.makes.noun}, not pictures to pictures. "
            "Use genlab sample, or genlab.load(run).sample in Python."
        )
    if way.takes.shape[1:] != way.makes.shape[1:]:
        sizes = " to ".join("{2}x{1}".format(*modality.shape) for modality in (way.takes, way.makes))
        raise UsageError(
            f"this model translates pictures of {sizes} pixels, which cannot be put back into their own sizes. "
            "Use genlab.load(run).sample in Python."
        )
    return ways


def translating_presets() -> Sequence[str]:
    """Return the presets that learn to translate."""
    return [name for name, recipe in PRESETS.items() if recipe.reads in ("pairs", "sides", "domains")]


def way_into(ways: Sequence[Way], name: str, source: str) -> Way:
    """Return the translation into the domain `name`, of a model without classes; `source` is its source's name.

    Raises:
        UsageError: there is none.
    """
    for way in ways:
        if way.name.casefold() == name.casefold():
            return way
    target = ways[0].name
    does = f"this model translates {source} to {target}"
    if name.casefold() == source.casefold():
        raise UsageError(
            f"{does}, not back. Leave out --to, or train a model that does: cyclegan learns both ways, and others "
            "are turned by --direction."
        )
    names = [way.name for way in ways]
    raise UsageError(f'{does}; there is no domain "{name}".{suggestion(name, names)} Choices: {", ".join(names)}.')


def described(ways: Sequence[Way], source: str) -> Sequence[str]:
    """Return in words which pictures a model translates; nothing if it translates none."""
    if not ways or ways[0].takes.spatial != 2:
        return []
    if ways[0].label is not None:
        return [f"pictures to {', '.join(way.name for way in ways)}"]
    target = ways[0].name
    return [f"{target if way.backwards else source} to {way.name}" for way in ways]


@torch.no_grad()
def translate(model: Any, way: Way, x: Tensor, rows: Sequence[int], seed: int) -> Tensor:  # noqa: ANN401 (as `ways_of`)
    """Return the translations (B, C', H, W) of pictures (B, C, H, W) in [-1, 1], on the CPU.

    The noise of a diffusion model depends on the seed and the row of each picture.
    """
    x = x.to(device_of(model))
    if way.backwards:
        return model.translate_back(x).cpu()  # type: ignore[no-any-return]
    condition = {SOURCE: x}
    if way.label is not None:
        condition["label"] = torch.full((len(x),), way.label, device=x.device)
    with by_row(model):
        return model.sample(len(x), condition, RowNoise(seed, "translations", rows)).cpu()  # type: ignore[no-any-return]


def returning(ways: Sequence[Way], way: Way) -> Way | None:
    """Return the translation that undoes another one; None if the model makes none."""
    return next((each for each in ways if each.label is None and each.backwards != way.backwards), None)
