"""Pictures through a model's bottleneck and back."""

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.contract import Reconstructs, Resamples
from genlab.core.random import generator

CHUNK = 256


def reconstruct(model: nn.Module, images: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the reconstructions (B, C, H, W) of examples in [-1, 1] and the mean squared error of each, (B,).

    With a seed they are draws from the posterior of each image.

    Raises:
        GenlabError: the model does not reconstruct, or has no posterior to draw from.
    """
    chunks = torch.split(images, CHUNK)
    if seed is None:
        able = need(model, Reconstructs, "reconstruction")
        again = torch.cat([able.reconstruct(chunk) for chunk in chunks])
    else:
        drawing, noise = need(model, Resamples, "a draw from the posterior"), generator(seed, "posterior")
        again = torch.cat([drawing.resample(chunk, generator=noise) for chunk in chunks])
    return again, (again - images).square().flatten(1).mean(1)
