"""What a person is shown while a model trains: the same inputs or the same noise every time."""

import torch
from torch import Tensor, nn

from genlab.core.contract import Reconstructs, Samples
from genlab.core.pictures import Picture, grid
from genlab.core.random import generator

PICTURES = 64


def preview(model: nn.Module, held_out: Tensor, seed: int, count: int = PICTURES) -> Picture:
    """Draw `count` samples of a model that samples; otherwise held-out images over their reconstructions.

    Args:
        model: in evaluation mode.
        held_out: images (N, C, H, W) in [-1, 1] on the model's device.
        seed: of the noise.
        count: how many images; of points, sixteen times as many.
    """
    if isinstance(model, Samples):
        points = held_out.shape[2:] == (1, 1)
        return grid(model.sample(count * 16 if points else count, generator(seed, "preview")))
    assert isinstance(model, Reconstructs)
    return beside(held_out[: count // 2], model.reconstruct(held_out[: count // 2]))


def beside(images: Tensor, reconstructions: Tensor, columns: int = 8) -> Picture:
    """Lay rows of images out, each over the row of its reconstructions; the last rows are filled up with white."""
    columns = min(columns, len(images))
    white = images.new_ones(-len(images) % columns, *images.shape[1:])
    above, below = (torch.split(torch.cat([side, white]), columns) for side in (images, reconstructions))
    return grid(torch.cat([row for pair in zip(above, below, strict=True) for row in pair]), columns)
