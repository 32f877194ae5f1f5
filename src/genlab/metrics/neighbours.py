"""Measures by nearest neighbours in feature space: fidelity, diversity and memorisation.

References:
    Kynkäänniemi et al., 2019. Improved Precision and Recall Metric for Assessing Generative Models.
    arXiv:1904.06991.
    Naeem et al., 2020. Reliable Fidelity and Diversity Metrics for Generative Models. arXiv:2002.09797.
    Meehan, Chaudhuri and Dasgupta, 2020. A Non-Parametric Test to Detect Data-Copying in Generative Models.
    arXiv:2004.05675.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.core.errors import GenlabError

PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS = 3, 5
COPY_QUANTILE = 0.01
CHUNK = 1000


class Manifold(NamedTuple):
    """How the manifolds of real and generated images overlap."""

    precision: float  # share of generated images inside a ball of a real image: fidelity
    recall: float  # share of real images inside a ball of a generated image: diversity
    density: float  # mean number of real balls around a generated image, divided by k; may exceed 1
    coverage: float  # share of real images whose ball holds a generated image


def manifold(
    real: Tensor,
    fake: Tensor,
    *,
    neighbours: int = PRECISION_NEIGHBOURS,
    density_neighbours: int = DENSITY_NEIGHBOURS,
) -> Manifold:
    """Return improved precision and recall, density and coverage.

    The ball of an image reaches to its k-th nearest neighbour in its own set. All four measures depend on the
    number of images: compare them only at equal numbers.

    Args:
        real: features (N, D).
        fake: features (M, D).
        neighbours: k of precision and recall.
        density_neighbours: k of density and coverage.

    Raises:
        GenlabError: k images or fewer in a set, or features that are NaN or infinite.
    """
    most = max(neighbours, density_neighbours)
    _check(real, "real", most + 1)
    _check(fake, "fake", most + 1)
    of_real, of_fake = radii(real, most), radii(fake, most)
    narrow, wide = of_real[:, neighbours - 1], of_real[:, density_neighbours - 1]
    around_fake = of_fake[:, neighbours - 1]
    recalled = covered = dense = 0
    fakes_held = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    for rows, distances in _distances(real, fake):
        fakes_held |= (distances <= narrow[rows, None]).any(0)
        recalled += int((distances <= around_fake).any(1).sum())
        inside = distances <= wide[rows, None]
        dense += int(inside.sum())
        covered += int(inside.any(1).sum())
    precision = float(fakes_held.double().mean())
    return Manifold(precision, recalled / len(real), dense / (density_neighbours * len(fake)), covered / len(real))


def radii(features: Tensor, neighbours: int) -> Tensor:
    """Return the distances of each image to its nearest neighbours, (N, neighbours), the nearest first."""
    found = []
    for rows, distances in _distances(features, features):
        distances[torch.arange(len(rows), device=rows.device), rows] = torch.inf  # not itself
        found.append(distances.topk(neighbours, largest=False).values)
    return torch.cat(found)


def nearest(features: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance of each of `features` (N, D) to the nearest of `among` (M, D), and the index of that."""
    found = [distances.min(1) for _, distances in _distances(features, among)]
    return torch.cat([pair.values for pair in found]), torch.cat([pair.indices for pair in found])


class Memorisation(NamedTuple):
    """How close samples are to training images, compared with held-out images."""

    ratio: float  # of the median distances to the nearest training image; 1 for new images, 0 for copies
    copies: float  # share of samples closer than the closest 1 % of held-out images; 0.01 for new images
    z_score: float  # of a rank-sum test for equal distances; below −3 samples are closer


def memorisation(train: Tensor, held_out: Tensor, fake: Tensor) -> Memorisation:
    """Compare the distances of samples and of held-out images to their nearest training images.

    Args:
        train: features of the training images, (N, D).
        held_out: features of held-out images of the same kind, (M, D).
        fake: features of samples, (K, D).

    Raises:
        GenlabError: a set that is empty, or features that are NaN or infinite.
    """
    for name, features in (("training", train), ("held-out", held_out), ("fake", fake)):
        _check(features, name, 1)
    of_held_out, of_fake = nearest(held_out, train)[0], nearest(fake, train)[0]
    usual = float(of_held_out.median())
    ratio = float(of_fake.median()) / usual if usual > 0 else float("nan")
    copies = float((of_fake < of_held_out.quantile(COPY_QUANTILE)).double().mean())
    return Memorisation(ratio, copies, _rank_sum(of_fake, of_held_out))


def _rank_sum(one: Tensor, two: Tensor) -> float:
    """Return the z-score of the Mann–Whitney U statistic, the number of pairs in which `one` is larger."""
    ordered = two.sort().values.contiguous()
    below = torch.searchsorted(ordered, one.contiguous())
    up_to = torch.searchsorted(ordered, one.contiguous(), right=True)
    wins = float((below + up_to).double().sum()) / 2
    n, m = len(one), len(two)
    return (wins - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def _distances(one: Tensor, two: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows of a chunk of `one` and their distances to all of `two`, (chunk, M).

    In float64, so that |x|² + |y|² − 2xᵀy is accurate for close neighbours too.
    """
    one, two = one.double(), two.double()
    centre = two.mean(0)
    one, two = one - centre, two - centre
    squares = two.square().sum(1)
    for rows in torch.split(torch.arange(len(one), device=one.device), CHUNK):
        chunk = one[rows]
        squared = torch.addmm(squares, chunk, two.T, alpha=-2) + chunk.square().sum(1, keepdim=True)
        yield rows, squared.clamp_(min=0).sqrt_()


def _check(features: Tensor, name: str, least: int) -> None:
    if len(features) < least:
        raise GenlabError(f"nearest neighbours need {least} {name} images or more, not {len(features)}")
    if not torch.isfinite(features).all():
        raise GenlabError(f"the features of the {name} images are not finite")
