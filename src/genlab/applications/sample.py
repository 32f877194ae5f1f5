"""New pictures from a model that samples, or that decodes latents of a known prior."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, need_labels
from genlab.core.contract import Samples, takes_labels
from genlab.core.device import of
from genlab.core.random import generator

CHUNK = 256


def sample(model: nn.Module, count: int, seed: int, label: int | None = None) -> Tensor:
    """Return `count` new images (count, C, H, W) in [-1, 1]; the same seed gives the same images.

    A model that takes labels goes round its classes, or makes images of the class `label` only.

    Raises:
        GenlabError: the model does not sample, or takes no labels.
    """
    return torch.cat(list(_chunks(model, count, seed, label)))


def _chunks(model: nn.Module, count: int, seed: int, label: int | None) -> Iterator[Tensor]:
    able = need(model, Samples, "sampling")
    noise = generator(seed, "samples")
    for rows in torch.split(torch.arange(count), CHUNK):
        if label is None and not takes_labels(model):
            yield able.sample(len(rows), noise).cpu()
        else:
            told = need_labels(model)
            labels = rows % told.classes if label is None else torch.full_like(rows, label)
            yield told.sample(len(rows), noise, labels.to(of(model))).cpu()
