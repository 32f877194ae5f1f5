"""Discrete examples as real numbers, which have a density, for models with an exact likelihood.

References:
    Dinh, Sohl-Dickstein and Bengio, 2017. Density Estimation Using Real NVP. arXiv:1605.08803.
    Theis, van den Oord and Bethge, 2016. A note on the evaluation of generative models. arXiv:1511.01844.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

EDGE = 0.05  # the distance from 0 and 1 that pixels keep before their logit is taken, after Dinh et al.
MIDDLE = 0.5  # of the interval of a value
SMALLEST = 1e-6  # probability of which a normal quantile is taken


def dequantise_pixels(x: Tensor, levels: int, draws: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return the logits of pixels dequantised by `draws` in [0, 1), and log |det| of the Jacobian, (B,).

    A byte b becomes (b + u)/256. The map starts at b + u, whose density integrates to P(b) over [b, b + 1).
    """
    bytes_ = ((x + 1) * ((levels - 1) / 2)).round()
    places = EDGE + (1 - 2 * EDGE) * (bytes_ + draws) / levels
    points = torch.logit(places)
    slopes = -logsigmoid(points) - logsigmoid(-points) + math.log((1 - 2 * EDGE) / levels)
    return points, slopes.flatten(1).sum(1)


def quantise_pixels(points: Tensor, levels: int) -> Tensor:
    """Return the pixels in [-1, 1] whose `dequantise_pixels` with draws of ½ are `points`."""
    places = (torch.sigmoid(points) - EDGE) / (1 - 2 * EDGE)
    return ((levels * places - MIDDLE) / (levels - 1) * 2 - 1).clamp(-1, 1)


def normal_quantile(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return standard normal numbers z from uniform draws, and −log of their density."""
    z = torch.special.ndtri(draws.clamp(SMALLEST, 1 - SMALLEST))
    return z, 0.5 * (z.square() + math.log(2 * math.pi))
