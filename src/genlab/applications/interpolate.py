"""The way from one image to another through a model's latent space."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.condition import NONE, fill
from genlab.core.contract import Decodes, Encodes, HasPrior, Samples
from genlab.core.errors import GenlabError
from genlab.core.latents import linear, slerp
from genlab.core.random import generator


def interpolate(model: nn.Module, ends: int, frames: int, seed: int, images: Tensor | None = None) -> Tensor:
    """Return the images along a path through `ends` latents, `frames` for each stretch.

    The latents are those of `images`, if given, else draws from the model's prior. A model with a normal prior
    is walked along great circles, another along straight lines. A model that takes labels goes round its classes,
    one for each stretch.

    Args:
        model: decodes, and either encodes or has a prior.
        ends: how many latents the path goes through, at least 2.
        frames: images per stretch, at least 2.
        seed: of the draws.
        images: (ends, C, H, W) in [-1, 1], for a model that encodes.

    Returns:
        (stretches, frames, C, H, W), with ends − 1 stretches.

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
    between = slerp if isinstance(model, HasPrior) else linear
    paths = [between(a, b, weights) for a, b in pairwise(latents)]
    # Each stretch is under one condition, which must not change from frame to frame.
    each = fill(model.conditions, NONE, len(paths), latents.device) if isinstance(model, Samples) else {}
    conditions = [
        {name: torch.stack([value[k]] * frames) for name, value in each.items()} for k in range(len(paths))
    ]
    return torch.stack([decode(path, condition) for path, condition in zip(paths, conditions, strict=True)])
