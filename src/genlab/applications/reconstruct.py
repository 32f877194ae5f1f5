"""Pictures through a model's bottleneck and back."""

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.contract import Reconstructs

CHUNK = 256


def reconstruct(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the reconstructions (B, C, H, W) of images in [-1, 1] and the mean squared error of each, (B,).

    Raises:
        GenlabError: the model does not reconstruct.
    """
    able = need(model, Reconstructs, "reconstruction")
    again = torch.cat([able.reconstruct(chunk) for chunk in torch.split(images, CHUNK)])
    return again, (again - images).square().flatten(1).mean(1)
