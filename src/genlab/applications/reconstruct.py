"""Reconstruction of images by a model."""

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.sample import by_row
from genlab.core.batch import at_once
from genlab.core.contract import Reconstructs, Resamples
from genlab.core.random import RowNoise


def reconstruct(
    model: nn.Module, images: Tensor, seed: int | None = None, first: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the reconstructions (B, C, H, W) of images in [-1, 1], and the mean squared error of each, (B,).

    With a seed, each reconstruction is from one draw of the posterior. `first` is the position of the first image
    among all that are reconstructed, on which its draw depends.

    Raises:
        GenlabError: the model does not reconstruct, or has no posterior to draw from.
    """
    chunks = torch.split(images, at_once(images.shape[1:]))
    if seed is None:
        reconstructs = need(model, Reconstructs, "reconstruction")
        reconstructed = torch.cat([reconstructs.reconstruct(chunk) for chunk in chunks])
    else:
        resamples = need(model, Resamples, "a draw from the posterior")
        rows = torch.split(torch.arange(first, first + len(images)), at_once(images.shape[1:]))
        noises = [RowNoise(seed, "posterior", part.tolist()) for part in rows]
        with by_row(model):
            drawn = [resamples.resample(x, generator=noise) for x, noise in zip(chunks, noises, strict=True)]
        reconstructed = torch.cat(drawn)
    return reconstructed, (reconstructed - images).square().flatten(1).mean(1)
