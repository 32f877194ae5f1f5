"""Filled holes compared with the truth, and what a fill without a model looks like.

References:
    Pérez, Gangnet and Blake, 2003. Poisson Image Editing. SIGGRAPH: the harmonic function, the smoothest fill.
"""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.metrics.similarity import RANGE
from genlab.metrics.translation import ROUNDING

Mask = npt.NDArray[np.bool_]


def hole_mse(made: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """Return the mean squared error (B,) of images (B, C, H, W) in their holes, bool (B, 1, H, W)."""
    return _mean_in((made - truth).square(), hole)


def hole_l1(made: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """Return the mean absolute error (B,), as `hole_mse` does."""
    return _mean_in((made - truth).abs(), hole)


def hole_psnr(made: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """Return 10 log₁₀(4 / MSE) in dB (B,), of images in [-1, 1]; at most that of rounding to bytes."""
    return 10 * torch.log10(RANGE**2 / hole_mse(made, truth, hole).clamp_min(ROUNDING))


def gradient_energy(images: Tensor, hole: Tensor) -> Tensor:
    """Return the mean squared difference (B,) of neighbours of images (B, C, H, W) that both lie in the hole."""
    return _mean_of_neighbours(images, hole, Tensor.square, torch.logical_and)


def border_jump(images: Tensor, hole: Tensor) -> Tensor:
    """Return the mean absolute difference (B,) of neighbours of images (B, C, H, W), one of them in the hole."""
    return _mean_of_neighbours(images, hole, Tensor.abs, torch.logical_xor)


def mean_fill(images: Tensor, hole: Tensor) -> Tensor:
    """Return images (B, C, H, W) whose holes, bool (B, 1, H, W), hold the mean of the known pixels."""
    known = (~hole).to(images.dtype)
    mean = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(hole, mean, images)


def harmonic_fill(images: Tensor, hole: Tensor) -> Tensor:
    """Return images (B, C, H, W) whose holes, bool (B, 1, H, W), are harmonic.

    Each missing pixel is the mean of its neighbours. That solves Laplace's equation with the known pixels around
    the hole as its boundary values, and no slope across the border of the image. An image of which nothing is
    known becomes 0.
    """
    filled = images.detach().double().cpu().numpy().copy()
    holes, same = hole[:, 0].cpu().numpy(), defaultdict(list)
    for row, each in enumerate(holes):
        same[each.tobytes()].append(row)
    for rows in same.values():
        missing = holes[rows[0]]
        if missing.any():
            filled[rows] = _solved(filled[rows], missing)
    return torch.from_numpy(filled).to(images)


def _solved(images: npt.NDArray[np.float64], missing: Mask) -> npt.NDArray[np.float64]:
    """Return images (B, C, H, W) with one hole (H, W)."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    if missing.all():
        return np.zeros_like(images)
    height, width = missing.shape
    number = np.full(missing.shape, -1)
    number[missing] = np.arange(missing.sum())
    rows, columns = np.nonzero(missing)
    count, known = np.zeros(len(rows)), np.zeros((*images.shape[:2], len(rows)))
    pairs = []
    for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = rows + down, columns + across
        inside = np.nonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))[0]
        count[inside] += 1
        beside, y, x = number[y[inside], x[inside]], y[inside], x[inside]
        given = beside < 0
        known[..., inside[given]] += images[..., y[given], x[given]]
        pairs.append((inside[~given], beside[~given]))
    one, two = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    diagonal = np.arange(len(rows))
    values = np.concatenate([count, -np.ones(len(one))])
    places = (np.concatenate([diagonal, one]), np.concatenate([diagonal, two]))
    solve = splu(coo_array((values, places), shape=(len(rows), len(rows))).tocsc()).solve
    filled = images.copy()
    filled[..., missing] = solve(known.reshape(-1, len(rows)).T).T.reshape(known.shape)
    return filled


def _mean_of_neighbours(
    images: Tensor,
    hole: Tensor,
    measure: Callable[[Tensor], Tensor],
    counts: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return the mean measure of differences of neighbours of which it `counts` where they are in the hole."""
    total, pairs = images.new_zeros(images.shape[0]), images.new_zeros(images.shape[0])
    for dim in (2, 3):
        length = images.shape[dim] - 1
        counted = counts(hole.narrow(dim, 0, length), hole.narrow(dim, 1, length))
        total += (measure(images.diff(dim=dim)).mean(1, keepdim=True) * counted).flatten(1).sum(1)
        pairs += counted.flatten(1).sum(1)
    return total / pairs.clamp_min(1)


def _mean_in(values: Tensor, hole: Tensor) -> Tensor:
    numbers = hole.flatten(1).sum(1).clamp_min(1) * values.shape[1]
    return (values * hole).flatten(1).sum(1) / numbers
