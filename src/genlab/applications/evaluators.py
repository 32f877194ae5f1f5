"""The measures of a model: a row of `EVALUATORS` for each, with the capabilities that it requires."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genlab.applications.sample import batches
from genlab.core.batch import at_once
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
from genlab.core.device import device_of
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
from genlab.runs.statistics import random_rows, real_statistics, with_progress
from genlab.version import __version__

CHUNK = 250
TOY_SAMPLES = 2500  # of the published protocol
PAIRS = 1000  # samples that are compared with the target of their source
PATHS = 500
LIKENESS_IMAGES = 1000  # images that pairs for MS-SSIM are drawn from
IMPORTANCE_DRAWS, IMPORTANCE_IMAGES, IMPORTANCE_CHUNK = 100, 500, 20

Pixels = Literal["binary", "continuous", "unknown"]
"""Pixels of the likelihood: black or white, values in [-1, 1], or those of a likelihood that is not normalised."""


@dataclass(frozen=True)
class Subject:
    """A model to evaluate, and everything that its figures depend on."""

    model: Any  # with the capabilities that a row of `EVALUATORS` requires
    source: Source
    samples: int  # number of samples, and largest number of real images
    extractor: Extractor | None  # of features; None for samples that are measured without one
    split: str  # of the real images: "held-out" or "train"
    seed: int
    stamp: Mapping[str, Any]
    pixels: Pixels = "unknown"
    likelihood: str = "unknown"  # "normalised", or the reconstruction whose constant the bound omits
    progress: bool = False  # whether to show progress bars

    @property
    def real(self) -> Split:
        """The real images with which the model is compared."""
        return self.source.held_out if self.split == "held-out" else self.source.train


@torch.no_grad()
def mode_coverage(subject: Subject) -> Iterator[Figure]:
    """Yield the mode coverage of samples, for data with known modes."""
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
    """Yield the squared error between samples and the targets of their sources, for models that need sources."""
    if not required_conditions(subject.model.conditions):
        return
    count = min(PAIRS, len(subject.real))
    pieces = batches(subject.model, count, subject.seed, _sources(subject, count))
    targets = subject.real.batch(rows_of(subject, count)).x
    errors = similarity.mse(torch.cat([piece() for piece in pieces]), targets).double()
    yield Figure("paired_mse", *_mean(errors), "lower", {"pairs": count, **protocol_of(subject)})


def sample_quality(subject: Subject) -> Iterator[Figure]:
    """Yield the figures that compare samples with real and with training examples in an extractor's features."""
    model, extractor, samples, real = subject.model, subject.extractor, subject.samples, subject.real
    if extractor is None:
        return
    index = random_rows(len(real), samples)
    # Under the conditions of the real images, so that the shares of the classes are the same.
    given = conditions_of(real, np.resize(index, samples), model.conditions)
    chunk = at_once(real.spec.target.shape)
    pieces = batches(model, samples, subject.seed, given, chunk)
    used_twice = -(-min(LIKENESS_IMAGES, samples) // chunk)
    pieces = [*map(cache, pieces[:used_twice]), *pieces[used_twice:]]
    of_real = real_statistics(real, extractor, samples, progress=subject.progress)
    fake = with_progress(extractor, pieces, "samples", progress=subject.progress)
    protocol = protocol_of(subject)
    yield from compare(of_real, fake, extractor, protocol)
    yield from _class_coverage(of_real, fake, extractor, protocol)
    yield from _memorisation(subject, extractor, fake, samples)
    if has_windows(real.spec.target):
        ours = torch.cat([piece() for piece in pieces[:used_twice]])
        theirs = real.batch(index[:LIKENESS_IMAGES]).x
        yield likeness_of_pairs(similarity.likeness(ours), similarity.likeness(theirs), protocol=protocol)


def _class_coverage(
    real: FeatureStatistics, fake: FeatureStatistics, extractor: Extractor, protocol: Mapping[str, Any]
) -> Iterator[Figure]:
    """Yield how many classes of the data the samples reach, if the extractor classifies them."""
    if extractor.name != "classifier" or real.probabilities is None or fake.probabilities is None:
        return
    stamp = {**extractor.stamp, "real": len(real.features), "fake": len(fake.features), **protocol}
    reached, divergence = classes_reached(real.probabilities, fake.probabilities)
    yield Figure("classes", reached, None, "higher", stamp)
    yield Figure("reverse_kl", divergence, None, "lower", stamp)


def _memorisation(
    subject: Subject, extractor: Extractor, fake: FeatureStatistics, samples: int
) -> Iterator[Figure]:
    """Yield whether samples are closer to training images than held-out images are."""
    train = real_statistics(subject.source.train, extractor, KEPT, progress=subject.progress)
    held_out = real_statistics(subject.source.held_out, extractor, samples, progress=subject.progress)
    found = memorisation(train.features, held_out.features, fake.features)
    stamp = {
        **extractor.stamp,
        "train": len(train.features),
        "held_out": len(held_out.features),
        "fake": len(fake.features),
        **protocol_of(subject),
    }
    note = "closer to training images than held-out images are" if found.z_score < -3 and found.ratio < 1 else ""
    yield Figure(f"nearest_ratio[{extractor.name}]", found.ratio, None, "none", stamp, note)
    yield Figure(f"copies[{extractor.name}]", found.copies, None, "lower", stamp)


def latent_path_length(subject: Subject) -> Iterator[Figure]:
    """Yield the perceptual path length of the decoder."""
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

    exact = extractor.exact()  # rounding to bytes would hide such small steps
    estimate = path_length(decode, lambda images: exact(images).features, starts, ends, places)
    stamp = {**exact.stamp, "paths": PATHS, **protocol_of(subject)}
    yield Figure(f"path_length[{extractor.name}]", *estimate, "lower", stamp)


def reconstruction(subject: Subject) -> Iterator[Figure]:
    """Yield the similarity of examples and their reconstructions."""
    yield from _similarity("reconstruction", subject, lambda x: x)


def denoising(subject: Subject) -> Iterator[Figure]:
    """Yield the similarity of examples and their reconstructions from corrupted copies."""
    noise = generator(subject.seed, "measured corruption")
    yield from _similarity("denoising", subject, lambda x: subject.model.corrupt(x, noise))


@torch.no_grad()
def _similarity(name: str, subject: Subject, corrupt: Callable[[Tensor], Tensor]) -> Iterator[Figure]:
    real = subject.real
    measures: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Better]] = {
        "mse": (similarity.mse, "lower"),
        "psnr": (similarity.psnr, "higher"),
    }
    if has_windows(real.spec.target):
        measures |= {"ssim": (similarity.ssim, "higher"), "ms_ssim": (similarity.ms_ssim, "higher")}
    values: dict[str, list[Tensor]] = {measure: [] for measure in measures}
    index = random_rows(len(real), subject.samples)
    for part in np.array_split(index, -(-len(index) // CHUNK)):
        x = real.batch(part).x.to(device_of(subject.model))
        reconstructed = subject.model.reconstruct(corrupt(x))
        for measure, (function, _) in measures.items():
            values[measure].append(function(x, reconstructed).cpu().double())
    for measure, parts in values.items():
        stamp = {"real": len(index), **protocol_of(subject)}
        yield Figure(f"{name}_{measure}", *_mean(torch.cat(parts)), measures[measure][1], stamp)


@torch.no_grad()
def likelihood_bound(subject: Subject) -> Iterator[Figure]:
    """Yield the evidence lower bound: of bytes in bits per dimension, else in nats."""
    model, noise, (x, stamp) = subject.model, generator(subject.seed, "measured bound"), _measured(subject)
    index = random_rows(len(subject.real), subject.samples)
    given = {name: value.to(device_of(model)) for name, value in _sources(subject, len(index)).items()}
    device = device_of(model)
    parts = [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]
    bounds = [model.evidence_bound(x[part].to(device), condition_rows(given, part), noise) for part in parts]
    nats = -torch.cat(bounds).cpu().double()
    if model.levels:
        value, error = (bits_per_dimension(mean, x[0].numel()) for mean in _mean(nats))
        yield Figure("bits_per_dimension", value, error, "lower", {**stamp, "pixels": "bytes"})
    else:
        yield Figure("negative_bound", *_mean(nats), "lower", {**stamp, "likelihood": subject.likelihood})


@torch.no_grad()
def split_bound(subject: Subject) -> Iterator[Figure]:
    """Yield distortion and rate, the parts of the bound, and the tighter importance-weighted bound."""
    model, noise, (x, stamp) = subject.model, generator(subject.seed, "measured parts"), _measured(subject)
    stamp["likelihood"] = subject.likelihood
    parts = [
        model.distortion_and_rate(part, generator=noise) for part in torch.split(x.to(device_of(model)), CHUNK)
    ]
    for name, values in zip(("distortion", "rate"), zip(*parts, strict=True), strict=True):
        yield Figure(name, *_mean(torch.cat([value.cpu().double() for value in values])), "none", stamp)
    few = torch.split(x[:IMPORTANCE_IMAGES].to(device_of(model)), IMPORTANCE_CHUNK)
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
    """Return the examples whose likelihood is measured, and the protocol of its figures."""
    x = subject.real.batch(random_rows(len(subject.real), subject.samples)).x
    if subject.pixels == "binary":
        x = black_and_white(x, subject.seed)
    return x, {"real": len(x), "pixels": subject.pixels, **protocol_of(subject)}


def rows_of(subject: Subject, count: int) -> IntArray:
    """Return positions of `count` real examples, repeated if there are fewer."""
    return np.resize(random_rows(len(subject.real), count), count)


def _sources(subject: Subject, count: int) -> dict[str, Tensor]:
    """Return the conditions that a model must be given, from `count` real examples."""
    return dict(
        conditions_of(subject.real, rows_of(subject, count), required_conditions(subject.model.conditions))
    )


def _mean(values: Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return float(values.mean()), error


def likeness_of_pairs(ours: float, theirs: float, *, protocol: Mapping[str, Any]) -> Figure:
    """Return the MS-SSIM of pairs of samples, with a note if it is far above that of pairs of real images."""
    note = f"{theirs:.3f} among real images" + (": samples are alike" if ours > theirs + 0.1 else "")
    return Figure("ms_ssim_of_pairs", ours, None, "none", {"pairs": similarity.PAIRS, **protocol}, note)


def protocol_of(subject: Subject) -> dict[str, Any]:
    """Return the part of the protocol that all figures of a subject share."""
    shape = shape_of(subject.source.train.spec.target)
    return {"split": subject.split, "images": shape, "seed": subject.seed, **subject.stamp, "genlab": __version__}


def shape_of(modality: Modality) -> str:
    """Return the shape as in a protocol, such as 3×32×32."""
    return "×".join(map(str, modality.shape))


def has_windows(modality: Modality) -> bool:
    """Return whether examples are pictures that are large enough for SSIM's window."""
    return modality.spatial == 2 and min(modality.shape[1:]) >= similarity.WINDOW
