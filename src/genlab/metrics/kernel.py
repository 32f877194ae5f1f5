"""The kernel distance between two sets of features: an unbiased estimate of the squared maximum mean discrepancy.

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

    Unlike the Fréchet distance, its mean does not depend on the number of images; for similar sets the estimate
    may be slightly negative. The error is the standard deviation over the subsets, divided by √n, where n is the
    number of subsets, or the number of disjoint ones that fit into the sets if that is less.

    Args:
        real: features (N, D).
        fake: features (M, D).
        subsets: number of pairs of subsets.
        size: images in each; by default 1,000, or half of the smaller set if that is less, so that subsets differ.
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
    # Overlapping subsets add little information: the error cannot be smaller than that of disjoint ones.
    independent = min(len(values), least // size)
    error = float(deviation.std()) / math.sqrt(independent) if len(values) > 1 and least > size else math.nan
    return Estimate(float(deviation.mean()), error)


def squared_mmd(real: Tensor, fake: Tensor) -> float:
    """Return the unbiased estimate of MMD² of features (N, D) and (M, D).

    It is the mean of k(x, x′) over x ≠ x′, plus the same for y, minus twice the mean of k(x, y).
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
