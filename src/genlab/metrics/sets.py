"""All figures that compare generated with real images in the features of one extractor."""

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

FEW_PER_FEATURE = 2  # images per feature below which a covariance is poorly estimated


def compare(
    real: FeatureStatistics,
    fake: FeatureStatistics,
    extractor: Extractor,
    protocol: Mapping[str, Any],
    *,
    as_made: bool = True,
) -> list[Figure]:
    """Return the figures of `fake` compared with `real`, each with `protocol`, the extractor and its counts.

    Only the network that defines the Fréchet Inception Distance gives figures called fid, kid and inception_score,
    and only if the generated images have the size that they were made in (`as_made`); other figures have the
    extractor's name in theirs. All images count in the Fréchet distance, the first `KEPT` in the other figures.

    Raises:
        GenlabError: too few images, or features that are not finite.
    """
    stamp = {**extractor.stamp, **protocol}
    counts = {"real": len(real.features), "fake": len(fake.features)}
    own: dict[str, dict[str, Any]] = {
        "fd": {"real": real.count, "fake": fake.count},
        "score": {"probabilities": extractor.probabilities, "splits": SPLITS},
    }
    return [
        Figure(_named(name, extractor, as_made), *estimate, better, {**stamp, **counts, **own.get(name, {})}, note)
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
        overlap = manifold(real.features, fake.features)
        for name, value, count in zip(overlap._fields, overlap, _counts(real, fake), strict=True):
            yield name, Estimate(value, _error_of_share(value, count)), "higher", ""


def frechet(real: FeatureStatistics, fake: FeatureStatistics) -> Estimate:
    """Return the Fréchet distance with its standard error."""
    one, two = (gaussian(p.features if p.count == len(p.features) else p.whole) for p in (real, fake))
    return frechet_estimate(one, two, fake.features, fake.count)


def classes_reached(real: Tensor, fake: Tensor) -> tuple[int, float]:
    """Return how many classes a classifier finds in samples, and KL(shares in samples ‖ shares in real images).

    Args:
        real: its probabilities for real images, (N, K).
        fake: its probabilities for samples, (M, K).
    """
    counts = fake.argmax(1).bincount(minlength=fake.shape[1]).double()
    expected = real.argmax(1).bincount(minlength=real.shape[1]).double()
    if not (expected > 0).all():
        raise GenlabError("the classifier assigns no real image to one of the classes")
    shares = counts / counts.sum()
    reached = shares > 0
    divergence = (shares[reached] * (shares[reached] / (expected / expected.sum())[reached]).log()).sum()
    return int(reached.sum()), float(divergence)


def _named(name: str, extractor: Extractor, as_made: bool) -> str:
    published = {"fd": "fid", "kd": "kid", "score": "inception_score"}
    if extractor.name == "inception" and as_made and name in published:
        return published[name]
    return f"{name}[{extractor.name}]"


def _counts(real: FeatureStatistics, fake: FeatureStatistics) -> tuple[int, int, int, int]:
    """Return the number of images over which precision, recall, density and coverage are means."""
    reals, fakes = len(real.features), len(fake.features)
    return fakes, reals, fakes, reals


def _error_of_share(value: float, count: int) -> float:
    """Return the standard error of a share of `count` independent images; for density it is too small."""
    return (max(value * (1 - value), 0.0) / count) ** 0.5 if 0 <= value <= 1 else float("nan")
