"""Interpolation between images through a model's latent space."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.condition import NONE, Condition, condition_rows, fill
from genlab.core.contract import Classifies, Decodes, Encodes, HasPrior, Samples
from genlab.core.errors import GenlabError
from genlab.core.latents import lerp, slerp
from genlab.core.random import generator

MIDDLE = 0.5  # of a segment


@dataclass(frozen=True)
class Ends:
    """The points that a path goes through."""

    latents: Tensor  # (ends, latent)
    condition: Condition  # of each end, by name


def ends_of(model: nn.Module, count: int, seed: int, images: Tensor | None = None) -> Ends:
    """Return `count` ends of a path: the codes of `images`, if given, else draws from the model's prior.

    An image is encoded under its own class, which the model infers, or else under the one that its end gets by
    default: the classes in turn, as for draws.

    Args:
        model: encodes, or has a prior.
        count: number of ends.
        seed: of the draws.
        images: (count, C, H, W) in [-1, 1], for a model that encodes.

    Raises:
        GenlabError: the model does not encode the `images`, or has no prior to draw from.
    """
    if images is None and not isinstance(model, HasPrior):
        raise GenlabError("interpolation needs a model with a prior, or pictures to encode: give --between FOLDER")
    conditions = model.conditions if isinstance(model, Samples) else {}
    if images is None:
        latents = model.prior(count, generator(seed, "interpolation"))  # type: ignore[operator]
        return Ends(latents, fill(conditions, NONE, count, latents.device))
    encode = need(model, Encodes, "interpolation between pictures").encode
    known = {"label": model.classify(images)} if "label" in conditions and isinstance(model, Classifies) else NONE
    condition = fill(conditions, known, count, images.device)
    return Ends(encode(images, condition), condition)


def interpolate(model: nn.Module, ends: Ends, frames: int) -> Tensor:
    """Return the images along the path through `ends`, with `frames` in each segment.

    Interpolation is spherical for models with a prior, else linear. Each end is decoded under its own condition;
    between ends with different ones, the condition changes half-way.

    Args:
        model: decodes.
        ends: at least 2.
        frames: images per segment, at least 2.

    Returns:
        (segments, frames, C, H, W), with one segment less than ends.

    Raises:
        GenlabError: the model does not decode.
    """
    decode: Callable[..., Tensor] = need(model, Decodes, "interpolation").decode
    weights = torch.linspace(0, 1, frames, device=ends.latents.device)
    between = slerp if isinstance(model, HasPrior) else lerp
    images = []
    for segment, (start, end) in enumerate(pairwise(ends.latents)):
        latents = between(start, end, weights)
        latents[0], latents[-1] = start, end  # without rounding, so that neighbouring segments share an image
        condition = condition_rows(ends.condition, segment + (weights >= MIDDLE).long())
        images.append(decode(latents, condition))
    return torch.stack(images)
