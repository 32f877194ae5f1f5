"""Distances of each number of two images, (B, C, H, W).

References:
    Charbonnier et al., 1994. Two Deterministic Half-Quadratic Regularization Algorithms for Computed Imaging.
    Lai et al., 2017. Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution. arXiv:1704.03915:
    Charbonnier's distance for super-resolution.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor

from genlab.core.pixels import REACH, to_lab

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]

SMOOTH = 1e-3  # of Charbonnier's distance, on the scale from -1 to 1


def l1(one: Tensor, two: Tensor) -> Tensor:
    """|a − b|."""
    return (one - two).abs()


def l2(one: Tensor, two: Tensor) -> Tensor:
    """(a − b)²."""
    return (one - two).square()


def ab(one: Tensor, two: Tensor) -> Tensor:
    """Squared differences of a and b of CIELAB, divided by 110, of colour images: (B, 2, H, W)."""
    return ((to_lab(one) - to_lab(two))[:, 1:] / REACH).square()


def charbonnier(one: Tensor, two: Tensor) -> Tensor:
    """√((a − b)² + ε²) with ε = 0.001: |a − b|, but smooth at 0."""
    return ((one - two).square() + SMOOTH**2).sqrt()


DISTANCES: Mapping[str, Distance] = {"l1": l1, "l2": l2, "charbonnier": charbonnier, "ab": ab}
