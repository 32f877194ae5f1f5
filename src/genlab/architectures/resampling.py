"""Halves and doubles the side of feature maps without aliasing."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate


class Halve(nn.Module):
    """(B, C, H, W) to (B, C, H/2, W/2), weighted by [1, 3, 3, 1]/8 along both sides, with zeros around the map.

    References:
        Zhang, 2019. Making Convolutional Networks Shift-Invariant Again. arXiv:1904.11486.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(weights, weights)[None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps at half their side."""
        channels = maps.shape[1]
        return conv2d(maps, self.kernel.expand(channels, -1, -1, -1), stride=2, padding=1, groups=channels)


class Double(nn.Module):
    """(B, C, H, W) to (B, C, 2H, 2W) by bilinear interpolation: `Halve` transposed, times 4, except at edges."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps at twice their side."""
        return interpolate(maps, scale_factor=2, mode="bilinear")
