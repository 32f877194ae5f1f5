"""What a person is shown while a model trains: the same inputs or the same noise every time."""

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, ImageShape
from genlab.core.contract import Corrupts, Reconstructs, Samples, preview_sampling, takes_labels
from genlab.core.pictures import Picture, columns_of, grid
from genlab.core.random import generator

PICTURES = 64


def preview(model: nn.Module, held_out: Batch, seed: int, count: int = PICTURES) -> Picture:
    """Draw about `count` samples of a model that samples; otherwise held-out images over their reconstructions.

    A model that takes labels shows a column for each of its first classes; one that mends what it spoils shows
    spoilt images over what it made of them.

    Args:
        model: in evaluation mode.
        held_out: images and their labels, on the model's device.
        seed: of the noise.
        count: how many images; of points, sixteen times as many.
    """
    if isinstance(model, Samples):
        with preview_sampling(model):
            return _samples(model, held_out, generator(seed, "preview"), count)
    assert isinstance(model, Reconstructs)
    images = held_out.images[: count // 2]
    if isinstance(model, Corrupts):
        images = model.corrupt(images, generator(seed, "preview"))
    return beside(images, model.reconstruct(images))


def _samples(model: Samples, held_out: Batch, noise: torch.Generator, count: int) -> Picture:
    if ImageShape(*held_out.images.shape[1:]).of_points:
        return grid(model.sample(count * 16, noise))
    if isinstance(model, nn.Module) and takes_labels(model):
        classes = min(model.classes, 10)
        labels = torch.arange(count // classes * classes, device=held_out.images.device) % classes
        return grid(model.sample(len(labels), noise, labels), columns_of(count, classes))
    return grid(model.sample(count, noise))


def beside(images: Tensor, reconstructions: Tensor, columns: int = 8) -> Picture:
    """Lay rows of images out, each over the row of its reconstructions; the last rows are filled up with white."""
    columns = min(columns, len(images))
    white = images.new_ones(-len(images) % columns, *images.shape[1:])
    above, below = (torch.split(torch.cat([side, white]), columns) for side in (images, reconstructions))
    return grid(torch.cat([row for pair in zip(above, below, strict=True) for row in pair]), columns)
