"""Whether the two sides of pairs have anything to do with each other."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from genlab.core.condition import SOURCE
from genlab.core.random import derive_seed
from genlab.data.dataset import Split

PAIRS, FEWEST = 300, 50  # pairs that are compared, and fewest that tell anything
SHUFFLES = 30
POOLED = 8  # side of the images that are compared


def pair_relation(data: Split) -> float | None:
    """Return by how many standard deviations pairs are related more than shuffled ones; None without enough pairs.

    The measure is the distance covariance of sources and targets, as colours and edges in a coarse grid: the mean
    product of the centred distances of two sources and of their targets. It is positive if similar sources have
    similar targets.

    References:
        Székely, Rizzo and Bakirov, 2007. Measuring and Testing Dependence by Correlation of Distances. Annals of
        Statistics 35(6).
    """
    source = data.spec.conditions.get(SOURCE)
    images = source is not None and source.spatial == data.spec.target.spatial == 2
    if not images or not data.spec.aligned or len(data) < FEWEST:
        return None
    random = np.random.default_rng(derive_seed(0, "pair relation"))
    batch = data.batch(random.permutation(len(data))[:PAIRS])
    one, two = (_centred_distances(x) for x in (batch.condition[SOURCE], batch.x))
    shuffles = (torch.from_numpy(random.permutation(len(batch))) for _ in range(SHUFFLES))
    chance = torch.stack([(one * two[order][:, order]).mean() for order in shuffles])
    spread = chance.std().item()
    return ((one * two).mean().item() - chance.mean().item()) / spread if spread > 0 else None


def coarse(images: Tensor) -> Tensor:
    """Return the colours and the strength of edges of images (B, C, H, W) in a coarse grid, (B, D)."""
    edges = [images.diff(dim=axis).abs() for axis in (2, 3)]
    return torch.cat([adaptive_avg_pool2d(x, POOLED).flatten(1) for x in (images, *edges)], dim=1)


def _centred_distances(images: Tensor) -> Tensor:
    """Return the distances of all pairs of images (B, B), without the means of rows and columns."""
    summary = coarse(images)
    distances = torch.cdist(summary, summary)
    rows, columns = distances.mean(1, keepdim=True), distances.mean(0, keepdim=True)
    return distances - rows - columns + distances.mean()
