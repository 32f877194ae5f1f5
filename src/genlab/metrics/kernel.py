"""The kernel distance between two sets of features: the squared maximum mean discrepancy, without bias.

References:
    Bińkowski et al., 2018. Demystifying MMD GANs. arXiv:1801.01401.
"""

import math

import torch
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.core.random import generator
from genlab.metrics.estimate import Estimate

SUBSETS, SIZE = 100, 1000


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = SUBSETS, size: int | None = None, seed: int = 0
) -> Estimate:
    """Return the mean over subsets of the unbiased MMD² with the kernel k(x, y) = (xᵀy/D + 1)³.

    Unlike the Fréchet distance it does not depend on how many images there are; where the two sets are alike it
    may come out just below zero. The error is the deviation over the subsets, divided by the root of their number
    if they are as many as fit into the sets side by side, as if they were independent.

    Args:
        real: features (N, D).
        fake: features (M, D).
        subsets: how many pairs of subsets.
        size: images in each; by default 1,000, or half of them where that is less, so that subsets differ.
        seed: of the subsets.

    Raises:
        GenlabError: fewer than two images, or features that are NaN or infinite.
    """
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < 2:
            raise GenlabError(f"the kernel distance needs 2 {name} images or more, not {len(features)}")
        if not torch.isfinite(features).all():
            raise GenlabError(f"the features of the {name} images are not finite")
    least = min(len(real), len(fake))
    size = max(min(SIZE, least // 2), 2) if size is None else min(size, least)
    draws = generator(seed, "kernel subsets")
    values = [
        squared_mmd(real[_rows(len(real), size, draws)], fake[_rows(len(fake), size, draws)])
        for _ in range(subsets)
    ]
    deviation = torch.tensor(values, dtype=torch.float64)
    # More subsets than the sets hold say nothing new: their mean cannot be surer than that of disjoint ones.
    independent = min(len(values), least // size)
    error = float(deviation.std()) / math.sqrt(independent) if len(values) > 1 and least > size else math.nan
    return Estimate(float(deviation.mean()), error)


def squared_mmd(real: Tensor, fake: Tensor) -> float:
    """Return the unbiased estimate of MMD² of features (N, D) and (M, D).

    It is mean k(x, x′) over x ≠ x′, plus the same of y, minus 2 mean k(x, y).
    """
    real, fake = real.double(), fake.double()
    within = sum(_off_diagonal(_kernel(each, each)) for each in (real, fake))
    return float(within - 2 * _kernel(real, fake).mean())


def _kernel(one: Tensor, two: Tensor) -> Tensor:
    return (one @ two.T / one.shape[1] + 1) ** 3


def _off_diagonal(kernel: Tensor) -> Tensor:
    count = len(kernel)
    return (kernel.sum() - kernel.trace()) / (count * (count - 1))


def _rows(count: int, size: int, draws: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=draws)[:size]
