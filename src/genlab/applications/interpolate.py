"""Interpolation between images through a model's latent space."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.condition import NONE, fill
from genlab.core.contract import Decodes, Encodes, HasPrior, Samples
from genlab.core.errors import GenlabError
from genlab.core.latents import lerp, slerp
from genlab.core.random import generator


def interpolate(model: nn.Module, ends: int, frames: int, seed: int, images: Tensor | None = None) -> Tensor:
    """Return the images along a path through `ends` latents, with `frames` in each segment.

    The latents are those of `images`, if given, else draws from the model's prior. Interpolation is spherical for
    models with a prior, else linear. For models that take labels, they cycle through the classes, one for each
    segment.

    Args:
        model: decodes, and either encodes or has a prior.
        ends: number of latents on the path, at least 2.
        frames: images per segment, at least 2.
        seed: of the draws.
        images: (ends, C, H, W) in [-1, 1], for a model that encodes.

    Returns:
        (segments, frames, C, H, W), with ends − 1 segments.

    Raises:
        GenlabError: the model does not decode, does not encode the `images`, or has no prior to draw from.
    """
    decode: Callable[..., Tensor] = need(model, Decodes, "interpolation").decode
    if images is not None:
        latents = need(model, Encodes, "interpolation between pictures").encode(images)
    elif isinstance(model, HasPrior):
        latents = model.prior(ends, generator(seed, "interpolation"))
    else:
        raise GenlabError("interpolation needs a model with a prior, or pictures to encode: give --between FOLDER")
    weights = torch.linspace(0, 1, frames, device=latents.device)
    between = slerp if isinstance(model, HasPrior) else lerp
    paths = [between(a, b, weights) for a, b in pairwise(latents)]
    # Each segment has one condition, which must not change between frames.
    each = fill(model.conditions, NONE, len(paths), latents.device) if isinstance(model, Samples) else {}
    conditions = [
        {name: torch.stack([value[k]] * frames) for name, value in each.items()} for k in range(len(paths))
    ]
    return torch.stack([decode(path, condition) for path, condition in zip(paths, conditions, strict=True)])
