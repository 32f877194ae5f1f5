"""Feature statistics of real images, kept in the cache, because they are the same in every evaluation."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from genlab.core.batch import at_once
from genlab.core.contract import BoundsLikelihood, Reconstructs, Restores, Samples
from genlab.core.distributed import barrier, current_shard
from genlab.core.random import derive_seed
from genlab.data.cache import cache_folder, keep, kept
from genlab.data.dataset import Source, Split
from genlab.data.progress import bar
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.feature_statistics import FeatureStatistics, feature_statistics
from genlab.metrics.frechet import Moments
from genlab.recipes.resolve import Plan
from genlab.runs.extractors import find_extractor
from genlab.training.held_out import SampleDistance

REAL_IMAGES, SAMPLES = 1000, 500  # held-out images and samples of an evaluation during training
FEATURES = "efficientnet-lite0@96"
MIN_IMAGES_BETWEEN = (
    20_000  # least training images between evaluations by features: they cost a convolutional GAN up to 5 %
)
_VERSION = 2  # increase it when the same images would get other statistics


def real_statistics(
    data: Split, extractor: Extractor, count: int | None = None, *, progress: bool = False
) -> FeatureStatistics:
    """Return the statistics of a split, or of `count` of its images, from the cache or computed now."""
    count = None if count is None or count >= len(data) else count
    key = [_VERSION, data.fingerprint, extractor.stamp, count]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    path = cache_folder() / "statistics" / name
    known = _read(path)
    barrier()  # all processes have read before the first writes
    if known is None:
        known = with_progress(
            extractor, pieces_of(data, random_rows(len(data), count)), "real pictures", progress=progress
        )
        if current_shard().rank == 0:
            _write(known, path)
        barrier()
    return known


def with_progress(
    extractor: Extractor, pieces: Sequence[Callable[[], Tensor]], title: str, *, progress: bool
) -> FeatureStatistics:
    """Return the statistics of the images that `pieces` make, with a progress bar called `title`."""
    with bar(progress) as show:
        task = show.add_task(f"{extractor.name}: {title}", total=len(pieces))

        def advanced(piece: Callable[[], Tensor]) -> Tensor:
            images = piece()
            show.advance(task)
            return images

        return feature_statistics(extractor, [partial(advanced, piece) for piece in pieces])


def sample_distance(
    plan: Plan, source: Source, device: torch.device, model: nn.Module, *, quiet: bool = False
) -> SampleDistance | None:
    """Return the distance to evaluate samples with during training; None for pixels, which need no statistics.

    Raises:
        GenlabError: see `find_extractor`.
    """
    pictures = source.train.spec.target.spatial == 2
    if not (pictures and isinstance(model, Samples)) or len(source.held_out) < 2:
        return None
    name = plan.settings.extractor
    if name == "auto":
        brief = briefer_than_evaluation(plan, model)
        name = FEATURES if _uses_features(plan, model) and not brief else "pixels"
    if name == "pixels":
        return None
    extractor = find_extractor(name, device, source, progress=not quiet)
    return SampleDistance.of(
        extractor, real_statistics(source.held_out, extractor, REAL_IMAGES, progress=not quiet), SAMPLES
    )


def briefer_than_evaluation(plan: Plan, model: nn.Module) -> bool:
    """Whether a run that would be evaluated by features ends before its first regular evaluation, and too early.

    Its only evaluation, at the end, is then in pixels; it never decides on the best checkpoint. If it is resumed
    with more steps, it is evaluated as if it had been planned for so many.
    """
    brief = plan.recipe.steps * plan.recipe.batch_size < MIN_IMAGES_BETWEEN
    ends_before = plan.recipe.steps < plan.settings.evaluate_every
    return plan.settings.extractor == "auto" and brief and ends_before and _uses_features(plan, model)


def _uses_features(plan: Plan, model: nn.Module) -> bool:
    """Whether features decide on the best checkpoint: if nothing better does, and they cost little time.

    The rule depends on the plan, not on a clock: a run evaluates in the same way on every machine.
    """
    between = plan.settings.evaluate_every * plan.recipe.batch_size
    better = isinstance(model, BoundsLikelihood | Reconstructs | Restores)
    return not better and plan.recipe.architecture != "mlp" and between >= MIN_IMAGES_BETWEEN


def random_rows(images: int, count: int | None) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the indices of `count` images or of all, in a random order that is always the same.

    Folders are sorted by class, and some measures use only the first images.
    """
    return np.random.default_rng(derive_seed(0, "measured images")).permutation(images)[:count]


def pieces_of(data: Split, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Sequence[Callable[[], Tensor]]:
    """Return functions that make the batches of these rows."""
    each = at_once(data.spec.target.shape)
    parts = np.array_split(rows, -(-len(rows) // each)) if len(rows) else []
    return [partial(_images, data, part) for part in parts]


def _images(data: Split, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Tensor:
    return data.batch(rows).x


def _read(path: Path) -> FeatureStatistics | None:
    """Return statistics from the cache; None if they are missing or damaged."""
    data = kept(path)
    if data is None:
        return None
    values = load(data)
    whole = Moments(int(values["count"]), values["mean"], values["scatter"])
    return FeatureStatistics(whole, values["features"], values.get("probabilities"))


def _write(statistics: FeatureStatistics, path: Path) -> None:
    values = {
        "count": torch.tensor(statistics.count),
        "mean": statistics.whole.mean,
        "scatter": statistics.whole.scatter,
        "features": statistics.features,
    }
    if statistics.probabilities is not None:
        values["probabilities"] = statistics.probabilities
    keep(path, save(values))
