"""Interpolation between images through a model's latent space."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.project import Codes, Projecting, codes_of
from genlab.core.condition import NONE, condition_rows, fill
from genlab.core.contract import Decodes, HasPrior, HasStyles, Samples
from genlab.core.errors import GenlabError
from genlab.core.latents import arc, lerp
from genlab.core.random import generator

MIDDLE = 0.5  # of a segment


def ends_of(
    model: nn.Module, count: int, seed: int, images: Tensor | None = None, labels: Tensor | None = None
) -> Codes:
    """Return `count` ends of a path: the codes of `images`, if given, else draws from the model's prior.

    Images are encoded, or projected if the model has no encoder, each under its own class as `project` finds it.

    Args:
        model: encodes, or has a prior.
        count: number of ends.
        seed: of the draws, and of the starts of projections.
        images: (count, C, H, W) in [-1, 1].
        labels: classes of the images, (count,), −1 for those that are not known.

    Raises:
        GenlabError: the model has no prior to draw from, or the images can be neither encoded nor projected.
    """
    if images is not None:
        return codes_of(model, images, Projecting(seed=seed), labels)
    if not isinstance(model, HasPrior):
        raise GenlabError("interpolation needs a model with a prior, or pictures to encode: give --between FOLDER")
    latents = model.prior(count, generator(seed, "interpolation"))
    conditions = model.conditions if isinstance(model, Samples) else {}
    return Codes(latents, fill(conditions, NONE, count, latents.device))


def interpolate(model: nn.Module, ends: Codes, frames: int) -> Tensor:
    """Return the images along the path through `ends`, with `frames` in each segment.

    Interpolation is linear between the styles of models that have them. It is spherical for other models with a
    prior, with lengths that change evenly (`arc`), else linear; each end is decoded under its own condition, and
    between ends with different ones the condition changes half-way.

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
    if isinstance(model, HasStyles):
        return _between_styles(model, model.styles(ends.latents, ends.condition), weights)
    between = arc if isinstance(model, HasPrior) else lerp
    images = []
    for segment, (start, end) in enumerate(pairwise(ends.latents)):
        latents = between(start, end, weights)
        latents[0], latents[-1] = start, end  # without rounding, so that neighbouring segments share an image
        condition = condition_rows(ends.condition, segment + (weights >= MIDDLE).long())
        images.append(decode(latents, condition))
    return torch.stack(images)


def _between_styles(model: HasStyles, styles: Tensor, weights: Tensor) -> Tensor:
    """Return the images (segments, frames, C, H, W) on straight lines between styles (ends, layers, style)."""
    paths = (lerp(start.flatten(), end.flatten(), weights) for start, end in pairwise(styles))
    return torch.stack([model.synthesize(path.view(-1, *styles.shape[1:])) for path in paths])
