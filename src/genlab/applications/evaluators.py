"""What is measured of a model: a row of `EVALUATORS` for each measure, with the capabilities that it requires."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genlab.applications.sample import batches
from genlab.core.condition import condition_rows, fill, required_conditions
from genlab.core.contract import (
    BoundsLikelihood,
    Corrupts,
    Decodes,
    Evaluator,
    HasPrior,
    Reconstructs,
    Samples,
    SplitsBound,
)
from genlab.core.device import of
from genlab.core.modality import Modality
from genlab.core.random import generator
from genlab.data.dataset import IntArray, Source, Split, conditions_of
from genlab.metrics import modes, similarity
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.feature_statistics import KEPT, FeatureStatistics
from genlab.metrics.figures import Better, Figure
from genlab.metrics.likelihood import bits_per_dimension
from genlab.metrics.neighbours import memorisation
from genlab.metrics.path_length import path_length
from genlab.metrics.sets import classes_reached, compare
from genlab.runs.data import black_and_white
from genlab.runs.statistics import chosen, real_statistics, watched
from genlab.version import __version__

CHUNK = 250
TOY_SAMPLES = 2500  # of the published protocol
PAIRS = 1000  # samples that are compared with the truth for their source
PATHS = 500
LIKENESS_IMAGES = 1000  # images that pairs for MS-SSIM are drawn from
IMPORTANCE_DRAWS, IMPORTANCE_IMAGES, IMPORTANCE_CHUNK = 100, 500, 20

Pixels = Literal["binary", "continuous", "unknown"]
"""What the likelihood is of: black and white pixels; values in [-1, 1]; or what has no normalised likelihood."""


@dataclass(frozen=True)
class Subject:
    """A model and what its figures depend on besides the measure."""

    model: Any  # with the capabilities that a row of `EVALUATORS` requires
    source: Source
    samples: int  # how many, and at most how many real images
    extractor: Extractor | None  # of features; None where samples are not measured by one
    split: str  # of the real images: "held-out" or "train"
    seed: int
    stamp: Mapping[str, Any]
    pixels: Pixels = "unknown"
    likelihood: str = "unknown"  # a reconstruction's name, whose bounds leave out the same; or normalised
    progress: bool = False  # bars on a terminal

    @property
    def real(self) -> Split:
        """The real images that it is measured on."""
        return self.source.held_out if self.split == "held-out" else self.source.train


@torch.no_grad()
def mode_coverage(subject: Subject) -> Iterator[Figure]:
    """Yield how many modes of a toy the samples reach, where the data know their modes."""
    source, model = subject.source, subject.model
    if source.modes is None or source.mode_spread is None:
        return
    condition = _sources(subject, TOY_SAMPLES)
    points = model.sample(TOY_SAMPLES, condition, generator(subject.seed, "measured samples"))
    coverage = modes.cover(points.flatten(1).cpu().numpy(), source.modes, source.mode_spread)
    stamp = {"fake": TOY_SAMPLES, "within": f"{modes.WITHIN:g} standard deviations", **protocol_of(subject)}
    yield Figure("modes", coverage.modes, None, "higher", stamp, f"of {len(source.modes)}")
    share = coverage.high_quality
    yield Figure("high_quality", share, (share * (1 - share) / TOY_SAMPLES) ** 0.5, "higher", stamp)
    yield Figure("reverse_kl", coverage.reverse_kl, None, "lower", stamp)


@torch.no_grad()
def paired_error(subject: Subject) -> Iterator[Figure]:
    """Yield the squared error of samples to what the data have for the same source, where sources are given."""
    if not required_conditions(subject.model.conditions):
        return
    count = min(PAIRS, len(subject.real))
    pieces = batches(subject.model, count, subject.seed, _sources(subject, count))
    truth = subject.real.batch(_index(subject, count)).x
    errors = similarity.mse(torch.cat([piece() for piece in pieces]), truth).double()
    yield Figure("paired_mse", *_mean(errors), "lower", {"pairs": count, **protocol_of(subject)})


def sample_quality(subject: Subject) -> Iterator[Figure]:
    """Yield what compares samples with real examples, and with training ones, in the features of an extractor."""
    model, extractor, samples, real = subject.model, subject.extractor, subject.samples, subject.real
    if extractor is None:
        return
    index = chosen(len(real), samples)
    # Under the conditions of the real images, as many of each class as these have.
    given = conditions_of(real, np.resize(index, samples), model.conditions)
    pieces = batches(model, samples, subject.seed, given)
    shown = -(-min(LIKENESS_IMAGES, samples) // CHUNK)
    pieces = [*map(cache, pieces[:shown]), *pieces[shown:]]  # the first are looked at twice
    seen = real_statistics(real, extractor, samples, progress=subject.progress)
    fake = watched(extractor, pieces, "samples", progress=subject.progress)
    protocol = protocol_of(subject)
    yield from compare(seen, fake, extractor, protocol)
    yield from _of_classes(seen, fake, extractor, protocol)
    yield from _of_memory(subject, extractor, fake, samples)
    if has_windows(real.spec.target):
        ours = torch.cat([piece() for piece in pieces[:shown]])
        theirs = real.batch(index[:LIKENESS_IMAGES]).x
        yield likeness_of_pairs(similarity.likeness(ours), similarity.likeness(theirs), protocol=protocol)


def _of_classes(
    real: FeatureStatistics, fake: FeatureStatistics, extractor: Extractor, protocol: Mapping[str, Any]
) -> Iterator[Figure]:
    """Yield how many classes of the data the samples reach, where the extractor knows these classes."""
    if extractor.name != "classifier" or real.probabilities is None or fake.probabilities is None:
        return
    stamp = {**extractor.stamp, "real": len(real.features), "fake": len(fake.features), **protocol}
    reached, divergence = classes_reached(real.probabilities, fake.probabilities)
    yield Figure("classes", reached, None, "higher", stamp)
    yield Figure("reverse_kl", divergence, None, "lower", stamp)


def _of_memory(subject: Subject, extractor: Extractor, fake: FeatureStatistics, samples: int) -> Iterator[Figure]:
    """Yield whether samples are nearer to the training images than held-out images are."""
    train = real_statistics(subject.source.train, extractor, KEPT, progress=subject.progress)
    unseen = real_statistics(subject.source.held_out, extractor, samples, progress=subject.progress)
    found = memorisation(train.features, unseen.features, fake.features)
    stamp = {
        **extractor.stamp,
        "train": len(train.features),
        "held_out": len(unseen.features),
        "fake": len(fake.features),
        **protocol_of(subject),
    }
    note = "nearer to training images than held-out images are" if found.z_score < -3 and found.ratio < 1 else ""
    yield Figure(f"nearest_ratio[{extractor.name}]", found.ratio, None, "none", stamp, note)
    yield Figure(f"copies[{extractor.name}]", found.copies, None, "lower", stamp)


def latent_path_length(subject: Subject) -> Iterator[Figure]:
    """Yield the perceptual path length of the way from latents to samples."""
    model, extractor = subject.model, subject.extractor
    if extractor is None:
        return
    noise = generator(subject.seed, "paths")
    starts, ends = model.prior(PATHS, noise), model.prior(PATHS, noise)
    places = torch.rand(PATHS, generator=noise).to(starts.device)
    condition = fill(model.conditions, _sources(subject, PATHS), PATHS, starts.device)

    def decode(latents: Tensor) -> Tensor:
        parts = [slice(start, start + CHUNK) for start in range(0, len(latents), CHUNK)]
        with torch.no_grad():
            return torch.cat([model.decode(latents[part], condition_rows(condition, part)) for part in parts])

    exact = extractor.exact()  # rounding to bytes would hide steps as small as these
    estimate = path_length(decode, lambda images: exact(images).features, starts, ends, places)
    stamp = {**exact.stamp, "paths": PATHS, **protocol_of(subject)}
    yield Figure(f"path_length[{extractor.name}]", *estimate, "lower", stamp)


def reconstruction(subject: Subject) -> Iterator[Figure]:
    """Yield how like examples and their reconstructions are."""
    yield from _likeness("reconstruction", subject, lambda x: x)


def denoising(subject: Subject) -> Iterator[Figure]:
    """Yield how like examples are to what is restored of them after corruption."""
    noise = generator(subject.seed, "measured corruption")
    yield from _likeness("denoising", subject, lambda x: subject.model.corrupt(x, noise))


@torch.no_grad()
def _likeness(name: str, subject: Subject, given: Callable[[Tensor], Tensor]) -> Iterator[Figure]:
    real = subject.real
    measures: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Better]] = {
        "mse": (similarity.mse, "lower"),
        "psnr": (similarity.psnr, "higher"),
    }
    if has_windows(real.spec.target):
        measures |= {"ssim": (similarity.ssim, "higher"), "ms_ssim": (similarity.ms_ssim, "higher")}
    values: dict[str, list[Tensor]] = {measure: [] for measure in measures}
    index = chosen(len(real), subject.samples)
    for part in np.array_split(index, -(-len(index) // CHUNK)):
        x = real.batch(part).x.to(of(subject.model))
        again = subject.model.reconstruct(given(x))
        for measure, (function, _) in measures.items():
            values[measure].append(function(x, again).cpu().double())
    for measure, parts in values.items():
        stamp = {"real": len(index), **protocol_of(subject)}
        yield Figure(f"{name}_{measure}", *_mean(torch.cat(parts)), measures[measure][1], stamp)


@torch.no_grad()
def likelihood_bound(subject: Subject) -> Iterator[Figure]:
    """Yield the evidence bound: bits per dimension of bytes, else nats."""
    model, noise, (x, stamp) = subject.model, generator(subject.seed, "measured bound"), _measured(subject)
    index = chosen(len(subject.real), subject.samples)
    given = {name: value.to(of(model)) for name, value in _sources(subject, len(index)).items()}
    parts = [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]
    bounds = [model.evidence_bound(x[part].to(of(model)), condition_rows(given, part), noise) for part in parts]
    nats = -torch.cat(bounds).cpu().double()
    if model.levels:
        value, error = (bits_per_dimension(mean, x[0].numel()) for mean in _mean(nats))
        yield Figure("bits_per_dimension", value, error, "lower", {**stamp, "pixels": "bytes"})
    else:
        yield Figure("negative_bound", *_mean(nats), "lower", {**stamp, "likelihood": subject.likelihood})


@torch.no_grad()
def split_bound(subject: Subject) -> Iterator[Figure]:
    """Yield the two parts of the bound, distortion and rate, and the tighter importance-weighted bound."""
    model, noise, (x, stamp) = subject.model, generator(subject.seed, "measured parts"), _measured(subject)
    stamp["likelihood"] = subject.likelihood
    parts = [model.distortion_and_rate(part, generator=noise) for part in torch.split(x.to(of(model)), CHUNK)]
    for name, values in zip(("distortion", "rate"), zip(*parts, strict=True), strict=True):
        yield Figure(name, *_mean(torch.cat([value.cpu().double() for value in values])), "none", stamp)
    few = torch.split(x[:IMPORTANCE_IMAGES].to(of(model)), IMPORTANCE_CHUNK)
    bounds = [model.importance_bound(part, IMPORTANCE_DRAWS, generator=noise).cpu().double() for part in few]
    value, error = _mean(-torch.cat(bounds))
    stamp = {**stamp, "real": min(len(x), IMPORTANCE_IMAGES), "draws": IMPORTANCE_DRAWS}
    yield Figure("importance_nll", value, error, "lower", stamp)
    if subject.pixels != "unknown":
        numbers, levels = x[0].numel(), 256 if subject.pixels == "continuous" else 0
        bits = bits_per_dimension(value, numbers, levels=levels)
        yield Figure("bits_per_dimension", bits, bits_per_dimension(error, numbers), "lower", stamp)


EVALUATORS: Sequence[Evaluator] = (
    Evaluator((Samples,), mode_coverage),
    Evaluator((Samples,), paired_error),
    Evaluator((Samples,), sample_quality),
    Evaluator((Samples, HasPrior, Decodes), latent_path_length),
    Evaluator((Reconstructs,), reconstruction),
    Evaluator((Reconstructs, Corrupts), denoising),
    Evaluator((BoundsLikelihood,), likelihood_bound),
    Evaluator((SplitsBound,), split_bound),
)


def _measured(subject: Subject) -> tuple[Tensor, dict[str, Any]]:
    """Return the examples whose likelihood is measured, and what its figures are stamped with."""
    x = subject.real.batch(chosen(len(subject.real), subject.samples)).x
    if subject.pixels == "binary":
        x = black_and_white(x, subject.seed)
    return x, {"real": len(x), "pixels": subject.pixels, **protocol_of(subject)}


def _index(subject: Subject, count: int) -> IntArray:
    return np.resize(chosen(len(subject.real), count), count)


def _sources(subject: Subject, count: int) -> dict[str, Tensor]:
    """Return the conditions of `count` real examples that a model must be given."""
    return dict(conditions_of(subject.real, _index(subject, count), required_conditions(subject.model.conditions)))


def _mean(values: Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return float(values.mean()), error


def likeness_of_pairs(ours: float, theirs: float, *, protocol: Mapping[str, Any]) -> Figure:
    """Return MS-SSIM of pairs of samples, noted where it is far above that of pairs of real images."""
    note = f"{theirs:.3f} among real images" + (": samples are alike" if ours > theirs + 0.1 else "")
    return Figure("ms_ssim_of_pairs", ours, None, "none", {"pairs": similarity.PAIRS, **protocol}, note)


def protocol_of(subject: Subject) -> dict[str, Any]:
    """Return what every figure of a subject is stamped with."""
    shape = shape_of(subject.source.train.spec.target)
    return {"split": subject.split, "images": shape, "seed": subject.seed, **subject.stamp, "genlab": __version__}


def shape_of(modality: Modality) -> str:
    """Return a shape as a protocol has it, 3×32×32."""
    return "×".join(map(str, modality.shape))


def has_windows(modality: Modality) -> bool:
    """Whether examples are pictures that hold a window of SSIM."""
    return modality.spatial == 2 and min(modality.shape[1:]) >= similarity.WINDOW
