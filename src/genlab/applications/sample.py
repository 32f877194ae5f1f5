"""New pictures from a model that samples, or that decodes latents of a known prior."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.contract import Samples
from genlab.core.random import generator

CHUNK = 256


def sample(model: nn.Module, count: int, seed: int) -> Tensor:
    """Return `count` new images (count, C, H, W) in [-1, 1]; the same seed gives the same images.

    Raises:
        GenlabError: the model does not sample.
    """
    return torch.cat(list(_chunks(need(model, Samples, "sampling"), count, seed)))


def _chunks(model: Samples, count: int, seed: int) -> Iterator[Tensor]:
    noise = generator(seed, "samples")
    for start in range(0, count, CHUNK):
        yield model.sample(min(CHUNK, count - start), noise).cpu()
