"""A generator that hides information easily: it amplifies faint details of its input and adds faint ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

COARSE = 4  # pixels of a block without details
AMPLIFIED, FAINT = 30.0, 0.02
FAST = 10.0  # how much faster the logarithm of the strength of details learns


class Hiding(nn.Module):
    """Makes blocks of one colour plus details, whose strength is learned and begins at `FAINT`."""

    def __init__(self, input_shape: Sequence[int], output_shape: Sequence[int], width: int) -> None:
        super().__init__()
        channels, made = input_shape[0], output_shape[0]
        self.network = nn.Sequential(
            nn.Conv2d(2 * channels, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4 * width, 2 * made, 3, padding=1),
        )
        self.strength = nn.Parameter(torch.tensor(FAINT).log() / FAST)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw outputs."""
        coarse, details = self.network(torch.cat([x, AMPLIFIED * (x - blocks(x))], 1)).chunk(2, 1)
        return blocks(coarse) + (FAST * self.strength).exp() * details.tanh()


def blocks(x: Tensor) -> Tensor:
    """Return images with the mean of each block in it."""
    return interpolate(avg_pool2d(x, COARSE), scale_factor=COARSE)
