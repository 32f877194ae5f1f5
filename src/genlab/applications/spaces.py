"""Spaces in which examples are compared: latents, features of a discriminator or an extractor, pixels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from genlab.applications.capability import need
from genlab.core.contract import Discriminates, Encodes
from genlab.core.device import device_of
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Modality
from genlab.recipes.settings import SpaceName
from genlab.runs.extractors import find_extractor

Numbers: TypeAlias = npt.NDArray[np.float32]

_OTHERS = "For this one give --space features or pixels, which do not use it."
SIDE = 32  # of pictures whose pixels are compared; larger ones are averaged down to it


@dataclass(frozen=True)
class Space:
    """Vectors of examples."""

    title: str
    of: Callable[[Tensor], Numbers]  # (B, *shape) -> (B, D)
    size: int  # D


def find_space(model: nn.Module, modality: Modality, name: SpaceName | None, extractor: str, verb: str) -> Space:
    """Return a space by its name; None stands for that of the model: its latents, or else its discriminator's.

    Args:
        model: of a run.
        modality: of its examples.
        name: of the space.
        extractor: of `features`.
        verb: in errors.

    Raises:
        GenlabError: the model has no such space.
        UsageError: features of examples that are no pictures.
    """
    if name is None:
        name = "latent" if isinstance(model, Encodes) or not _sees_alone(model) else "discriminator"
    title, of = _SPACES[name](model, modality, extractor, verb)

    @torch.no_grad()
    def vectors(x: Tensor) -> Numbers:
        return np.asarray(of(x.to(device_of(model))).flatten(1).float().cpu())

    return Space(title, vectors, vectors(torch.zeros(2, *modality.shape)).shape[1])


def pixels_of(modality: Modality) -> Space:
    """Return the space of the pixels of pictures, averaged down to `SIDE`, or of the numbers of other examples."""
    title, of = _pixels(None, modality)
    return Space(
        title, lambda x: np.asarray(of(x).flatten(1).float()), prod(of(torch.zeros(1, *modality.shape)).shape)
    )


def reduced(x: Tensor, side: int) -> Tensor:
    """Return pictures (B, C, H, W) whose longer side is averaged down to `side`; other examples as they are."""
    if x.ndim != 4 or max(x.shape[2:]) <= side:
        return x
    scale = side / max(x.shape[2:])
    height, width = (max(1, round(scale * length)) for length in x.shape[2:])
    return interpolate(x, (height, width), mode="area")


def _latent(model: nn.Module, modality: Modality, extractor: str, verb: str) -> tuple[str, Any]:
    try:
        return "latents", need(model, Encodes, f"{verb} --space latent").encode
    except GenlabError as error:
        raise GenlabError(f"{error} {_OTHERS}") from None


def _discriminator(model: nn.Module, modality: Modality, extractor: str, verb: str) -> tuple[str, Any]:
    discriminates = need(model, Discriminates, f"{verb} --space discriminator", _sees_alone)
    if not _sees_alone(model):
        raise GenlabError(
            "this discriminator sees pictures with conditions or in packs, so that one picture alone has no "
            f"features. {_OTHERS}"
        )
    return "features of the discriminator", lambda x: discriminates.discriminate(x).features


def _features(model: nn.Module, modality: Modality, extractor: str, verb: str) -> tuple[str, Any]:
    if modality.spatial != 2:
        raise UsageError(f"features are of pictures, not of {modality.noun}. Choices: latent, pixels.")
    found = find_extractor(extractor, device_of(model))
    return f"features of {found.name}", lambda x: found(x).features


def _pixels(model: nn.Module | None, modality: Modality, *_: str) -> tuple[str, Any]:
    if modality.spatial != 2:
        return f"numbers of the {modality.noun}", lambda x: x
    small = reduced(torch.zeros(1, *modality.shape), SIDE).shape[2:]
    shown = "" if small == modality.shape[1:] else f" at {small[1]}×{small[0]}"
    return f"pixels{shown}", lambda x: reduced(x, SIDE)


_SPACES: Mapping[SpaceName, Callable[..., tuple[str, Any]]] = {
    "latent": _latent,
    "discriminator": _discriminator,
    "features": _features,
    "pixels": _pixels,
}


def _sees_alone(model: nn.Module) -> bool:
    """Return whether a model has a discriminator that sees each picture by itself."""
    discriminator = getattr(model, "discriminator", None)
    alone = getattr(discriminator, "pack", 1) == 1
    return isinstance(model, Discriminates) and not getattr(model, "conditions", {}) and alone
