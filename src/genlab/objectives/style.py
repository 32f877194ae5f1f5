"""The statistics of feature maps that stand for a style, and the losses of content and style.

References:
    Huang and Belongie, 2017. Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.
    arXiv:1703.06868.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-5


def statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, each (B, C, 1, 1), over the positions of maps (B, C, H, W)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Return adaptive instance normalisation: σ(s) (c − μ(c)) / σ(c) + μ(s), in each channel of each picture.

    Args:
        content: maps (B, C, H, W).
        style: maps (B or 1, C, H', W').
    """
    mean, deviation = statistics(content)
    new_mean, new_deviation = statistics(style)
    return (content - mean) / deviation * new_deviation + new_mean


def style_distances(made: Sequence[Tensor], style: Sequence[Tensor]) -> Tensor:
    """Return the squared differences (B,) of means and of deviations: mean over channels, sum over layers."""
    squares = [
        (one - two).square().flatten(1).mean(1)
        for mine, theirs in zip(made, style, strict=True)
        for one, two in zip(statistics(mine), statistics(theirs), strict=True)
    ]
    return torch.stack(squares).sum(0)
