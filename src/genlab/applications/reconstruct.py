"""Reconstruction of images by a model."""

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.batch import at_once
from genlab.core.contract import Reconstructs, Resamples
from genlab.core.random import generator


def reconstruct(model: nn.Module, images: Tensor, seed: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the reconstructions (B, C, H, W) of images in [-1, 1], and the mean squared error of each, (B,).

    With a seed, each reconstruction is from one draw of the posterior.

    Raises:
        GenlabError: the model does not reconstruct, or has no posterior to draw from.
    """
    chunks = torch.split(images, at_once(images.shape[1:]))
    if seed is None:
        reconstructs = need(model, Reconstructs, "reconstruction")
        reconstructed = torch.cat([reconstructs.reconstruct(chunk) for chunk in chunks])
    else:
        resamples, noise = need(model, Resamples, "a draw from the posterior"), generator(seed, "posterior")
        reconstructed = torch.cat([resamples.resample(chunk, generator=noise) for chunk in chunks])
    return reconstructed, (reconstructed - images).square().flatten(1).mean(1)
