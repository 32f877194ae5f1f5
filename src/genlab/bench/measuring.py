"""The time of evaluations: the Fréchet distance, the extractor, an evaluation during training."""

from functools import partial

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from genlab.bench.example import ABOUT, SETTINGS, example
from genlab.bench.measure import Scope, Spread, interleaved, ratios, seconds
from genlab.bench.page import Row, Section
from genlab.core.random import generator
from genlab.metrics.extractors.efficientnet import efficientnet_lite0
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.frechet import frechet_distance, gaussian, moments
from genlab.runs.statistics import REAL_IMAGES, SAMPLES
from genlab.training.evaluation import evaluate
from genlab.training.held_out import SampleDistance
from genlab.training.inference import inference_mode

FEATURES, IMAGES, SEEN = 2048, 10_000, 500
SIDE = 96
STEPS = 8


def measure(scope: Scope) -> Section:
    """Time the parts of an evaluation."""
    real, fake = (_features(seed) for seed in (0, 1))
    known, other = moments(real), moments(fake)
    solve = partial(frechet_distance, known, other)
    textbook = partial(_by_square_root, known.scatter / (IMAGES - 1), other.scatter / (IMAGES - 1))
    few = partial(frechet_distance, gaussian(real), fake[:SAMPLES])
    works = {"solve": solve, "few": few, "textbook": textbook}
    found = interleaved({name: partial(seconds, work) for name, work in works.items()}, max(2, scope.repeats // 3))
    rows = [
        Row(f"Fréchet distance, {FEATURES:,} features, from moments", Spread.of(found["solve"]), "s", most=1.5),
        Row("speed relative to scipy's sqrtm", ratios(found["textbook"], found["solve"]), "times", least=10),
        Row(f"the same for {SAMPLES} samples", Spread.of(found["few"]), "s"),
        *_extractor(scope),
        *_in_training(scope),
    ]
    method = (
        f"The distance is of {IMAGES:,} images with {FEATURES:,} features, from their moments. The extractor gets "
        f"{SEEN} pictures of 32 pixels. The effect of float16 is on the distance of {SEEN} pictures to {SEEN} "
        f"others. An evaluation during training uses {SAMPLES} samples at {SIDE} pixels; its percentage is of the "
        f"time of the {SETTINGS.evaluate_every} steps between two. {ABOUT}"
    )
    return Section("Measuring", method, rows)


def _features(seed: int) -> Tensor:
    """Return random features whose spectrum decays like that of a network's features."""
    drawn = torch.randn(IMAGES, FEATURES, generator=generator(seed, "features"))
    mixing = torch.randn(FEATURES, FEATURES, generator=generator(9, "mixing")) / FEATURES**0.5
    features: Tensor = (drawn / torch.arange(1, FEATURES + 1) ** 0.5) @ mixing
    return features


def _by_square_root(one: Tensor, two: Tensor) -> float:
    """Return tr (C₁C₂)^½ as it is usually computed."""
    root = scipy.linalg.sqrtm(one.numpy() @ two.numpy())
    return float(np.trace(root.real))


def _pictures(count: int, seed: int) -> Tensor:
    """Return random pictures with structure at all scales."""
    random, images = generator(seed, "pictures"), torch.zeros(count, 3, 32, 32)
    for side in (2, 4, 8, 16, 32):
        coarse = torch.randn(count, 3, side, side, generator=random)
        images += torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    return torch.tanh(images / 2)


def _extractor(scope: Scope) -> list[Row]:
    images, others = _pictures(SEEN, 0), _pictures(SEEN, 1)
    extractors = {
        "float32": efficientnet_lite0(scope.device),
        "float16": efficientnet_lite0(scope.device, "float16"),
        f"float16 at {SIDE} px": efficientnet_lite0(scope.device, "float16", side=SIDE),
    }
    works = {name: partial(seconds, partial(extractor, images)) for name, extractor in extractors.items()}
    found = interleaved(works, max(2, scope.repeats // 3))
    rows = [
        Row(f"efficientnet-lite0, {name}", Spread.of(SEEN / s for s in found[name]), "images/s") for name in found
    ]
    full, half = (_distance(extractors[name], images, others) for name in ("float32", "float16"))
    return [*rows, Row("effect of float16 on the distance", 100 * abs(half / full - 1), "%", most=0.5)]


def _distance(extractor: Extractor, one: Tensor, two: Tensor) -> float:
    return frechet_distance(extractor(one).features, extractor(two).features)


def _in_training(scope: Scope) -> list[Row]:
    extractor = efficientnet_lite0(scope.device, "float16", side=SIDE)
    real = gaussian(extractor(_pictures(REAL_IMAGES, 0)).features)
    with example(scope.device) as run:
        distances = {"pixels": None, extractor.name: SampleDistance(extractor, real, REAL_IMAGES, SAMPLES)}

        def evaluated(distance: SampleDistance | None) -> None:
            with inference_mode(run.average.model):
                evaluate(run.average.model, run.held_out, SETTINGS.seed, distance)

        works = {"step": partial(run.advance, STEPS), **{n: partial(evaluated, d) for n, d in distances.items()}}
        found = interleaved(
            {name: partial(seconds, work) for name, work in works.items()}, max(2, scope.repeats // 2)
        )
    rows = []
    for name in distances:
        between = [SETTINGS.evaluate_every * value / STEPS for value in found["step"]]
        shares = Spread.of(100 * v / b for v, b in zip(found[name], between, strict=True))
        rows.append(Row(f"evaluation with {name}", Spread.of(found[name]), "s"))
        rows.append(Row(f"every {SETTINGS.evaluate_every} steps", shares, "%", most=5))
    return rows
