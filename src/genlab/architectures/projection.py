"""Heads that project feature maps onto unit vectors, which a contrastive loss compares."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

UNITS = 256


class ProjectionHeads(nn.Module):
    """A multilayer perceptron with one hidden layer for each of several maps.

    Args:
        channels: of each map.

    References:
        Park et al., 2020. Contrastive Learning for Unpaired Image-to-Image Translation, section 3.
        arXiv:2007.15651.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, UNITS), nn.ReLU(), nn.Linear(UNITS, UNITS)) for inputs in channels
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)
                nn.init.zeros_(module.bias)

    def forward(self, maps: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Return the unit vectors (B, S, 256) of each map at its `positions` (B, S): row · width + column."""
        return [
            normalize(head(at(its, places)), dim=2)
            for head, its, places in zip(self.heads, maps, positions, strict=True)
        ]


def at(maps: Tensor, positions: Tensor) -> Tensor:
    """Return the features (B, S, C) of maps (B, C, H, W) at `positions` (B, S)."""
    columns: Tensor = maps.flatten(2).transpose(1, 2)
    return torch.take_along_dim(columns, positions[:, :, None], dim=1)
