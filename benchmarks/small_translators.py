"""Small generators for failing translations: one that copies easily, and one that hides information easily."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

COARSE = 4  # pixels of a block without details
AMPLIFIED, FAINT = 30.0, 0.02
FAST = 10.0  # how much faster the logarithm of the strength of details learns


class Shallow(nn.Module):
    """Three convolutions at full resolution, which learn to copy in a few steps."""

    def __init__(self, input_shape: Sequence[int], output_shape: Sequence[int], width: int) -> None:
        super().__init__()
        self.network = convolutions(input_shape[0], output_shape[0], width)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw outputs."""
        made: Tensor = self.network(x)
        return made


class Hiding(nn.Module):
    """Makes blocks of one colour plus details, whose strength is learned and begins at `FAINT`.

    The details of its input are amplified.
    """

    def __init__(self, input_shape: Sequence[int], output_shape: Sequence[int], width: int) -> None:
        super().__init__()
        self.network = convolutions(2 * input_shape[0], 2 * output_shape[0], width)
        self.strength = nn.Parameter(torch.tensor(FAINT).log() / FAST)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw outputs."""
        coarse, details = self.network(torch.cat([x, AMPLIFIED * (x - blocks(x))], 1)).chunk(2, 1)
        made: Tensor = blocks(coarse) + (FAST * self.strength).exp() * details.tanh()
        return made


def convolutions(channels: int, made: int, width: int) -> nn.Sequential:
    """Return three convolutions."""
    wide = 4 * width
    return nn.Sequential(
        nn.Conv2d(channels, wide, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(wide, wide, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(wide, made, 3, padding=1),
    )


def blocks(x: Tensor) -> Tensor:
    """Return images with the mean of each block in it."""
    return interpolate(avg_pool2d(x, COARSE), scale_factor=COARSE)
