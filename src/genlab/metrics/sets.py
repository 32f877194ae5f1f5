"""All that is said of a set of generated images beside a set of real ones, through one extractor."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.estimate import Estimate
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.feature_statistics import FeatureStatistics
from genlab.metrics.figures import Better, Figure
from genlab.metrics.frechet import frechet_estimate, gaussian
from genlab.metrics.inception_score import SPLITS, inception_score
from genlab.metrics.kernel import kernel_distance
from genlab.metrics.neighbours import DENSITY_NEIGHBOURS, manifold

FEW_PER_FEATURE = 2  # images for each feature, below which a covariance is hardly known


def compare(
    real: FeatureStatistics, fake: FeatureStatistics, extractor: Extractor, protocol: Mapping[str, Any]
) -> list[Figure]:
    """Return the figures of `fake` beside `real`, each with `protocol` and what the extractor and counts add.

    Only the network that the Fréchet Inception Distance is defined by gives figures called fid, kid and
    inception_score; those of others carry the extractor's name.

    Raises:
        GenlabError: too few images, or features that are not finite.
    """
    stamp = {**extractor.stamp, "real": real.count, "fake": fake.count, **protocol}
    return [
        Figure(_named(name, extractor), *estimate, better, stamp, note)
        for name, estimate, better, note in _measured(real, fake)
    ]


def _measured(real: FeatureStatistics, fake: FeatureStatistics) -> Iterator[tuple[str, Estimate, Better, str]]:
    dimensions, least = real.features.shape[1], min(real.count, fake.count)
    few = f"{least:,} images for {dimensions:,} features: biased upwards" * (least < FEW_PER_FEATURE * dimensions)
    yield "fd", frechet(real, fake), "lower", few
    yield "kd", kernel_distance(real.features, fake.features), "lower", ""
    if fake.probabilities is not None and len(fake.probabilities) >= SPLITS:
        yield "score", inception_score(fake.probabilities), "higher", ""
    if min(len(real.features), len(fake.features)) > DENSITY_NEIGHBOURS:
        clouds = manifold(real.features, fake.features)
        for name, value, count in zip(clouds._fields, clouds, _counts(real, fake), strict=True):
            yield name, Estimate(value, _of_share(value, count)), "higher", ""


def frechet(real: FeatureStatistics, fake: FeatureStatistics) -> Estimate:
    """Return the Fréchet distance with its standard error."""
    one, two = (gaussian(p.features if p.count == len(p.features) else p.whole) for p in (real, fake))
    return frechet_estimate(one, two, fake.features, fake.count)


def classes_reached(real: Tensor, fake: Tensor) -> tuple[int, float]:
    """Return how many classes samples are named as, and the reverse KL of their shares to those of real images.

    Args:
        real: probabilities of a classifier, (N, K).
        fake: probabilities of a classifier, (M, K).
    """
    counts = fake.argmax(1).bincount(minlength=fake.shape[1]).double()
    expected = real.argmax(1).bincount(minlength=real.shape[1]).double()
    if not (expected > 0).all():
        raise GenlabError("a class has no real image that the classifier names so")
    shares = counts / counts.sum()
    there = shares > 0
    divergence = (shares[there] * (shares[there] / (expected / expected.sum())[there]).log()).sum()
    return int(there.sum()), float(divergence)


def _named(name: str, extractor: Extractor) -> str:
    published = {"fd": "fid", "kd": "kid", "score": "inception_score"}
    if extractor.name == "inception" and name in published:
        return published[name]
    return f"{name}[{extractor.name}]"


def _counts(real: FeatureStatistics, fake: FeatureStatistics) -> tuple[int, int, int, int]:
    """Return of how many images each of precision, recall, density and coverage is a mean."""
    reals, fakes = len(real.features), len(fake.features)
    return fakes, reals, fakes, reals


def _of_share(value: float, count: int) -> float:
    """Return the standard error of a share of `count` images as if they were independent; of density too small."""
    return (max(value * (1 - value), 0.0) / count) ** 0.5 if 0 <= value <= 1 else float("nan")
