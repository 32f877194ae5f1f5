"""Which measures fit a model, or pictures from anywhere, each with its protocol."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.sample import batches
from genlab.core.batch import ImageShape
from genlab.core.contract import (
    BoundsLikelihood,
    Corrupts,
    Decodes,
    HasPrior,
    Reconstructs,
    Samples,
    SplitsBound,
    counts_bits,
    takes_labels,
)
from genlab.core.device import of
from genlab.core.errors import GenlabError, UsageError
from genlab.core.random import generator
from genlab.data.dataset import Dataset, Source, chunks
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
PATHS = 500
LIKENESS_IMAGES = 1000  # images that pairs for MS-SSIM are drawn from
IMPORTANCE_DRAWS, IMPORTANCE_IMAGES, IMPORTANCE_CHUNK = 100, 500, 20


Pixels = Literal["binary", "continuous", "unknown"]
"""What the likelihood is of: black and white pixels; values in [-1, 1]; or what has no normalised likelihood."""


@dataclass(frozen=True)
class Subject:
    """A model and what its figures depend on besides the measure."""

    model: nn.Module
    source: Source
    split: str  # of the real images: "held-out" or "train"
    seed: int
    stamp: Mapping[str, Any]
    pixels: Pixels = "unknown"
    likelihood: str = "unknown"  # a reconstruction's name, whose bounds leave out the same; or normalised
    progress: bool = False  # bars on a terminal

    @property
    def real(self) -> Dataset:
        """The real images that it is measured on."""
        return self.source.held_out if self.split == "held-out" else self.source.train


def evaluate_model(subject: Subject, extractor: Extractor | None, samples: int) -> list[Figure]:
    """Return every figure that the model's capabilities allow.

    Args:
        subject: the model and its data.
        extractor: of features; None where samples are not measured by one.
        samples: how many samples, and at most how many real images.

    Raises:
        GenlabError: too few images, or a model that can do nothing that is measured.
    """
    model, shape = subject.model, subject.source.train.shape
    figures: list[Figure] = []
    if isinstance(model, Samples):
        if shape.of_points:
            figures += _of_points(subject)
        elif extractor is not None:
            figures += _of_samples(subject, extractor, samples)
    if isinstance(model, Reconstructs):
        figures += _of_reconstructions(subject, samples)
    if isinstance(model, BoundsLikelihood):
        figures += _of_likelihood(subject, samples)
    if not figures:
        raise GenlabError(f"nothing that this {type(model).__name__} can do is measured")
    return figures


def evaluate_sets(
    real: Dataset,
    fake: Dataset,
    extractor: Extractor,
    samples: int | None,
    stamp: Mapping[str, Any],
    *,
    progress: bool = False,
) -> list[Figure]:
    """Return the figures of one set of pictures beside another.

    Raises:
        GenlabError: too few images, or images of another shape.
    """
    if real.shape != fake.shape:
        raise UsageError(f"{real.name} has images of {tuple(real.shape)}, {fake.name} of {tuple(fake.shape)}")
    seen, ours = (real_statistics(each, extractor, samples, progress=progress) for each in (real, fake))
    protocol = {"images": _shape(real.shape), **stamp, "genlab": __version__}
    figures = compare(seen, ours, extractor, protocol)
    equal = _equal(real, fake)
    if equal:
        warning = f"{equal:,} of {len(fake):,} generated images are equal to real ones"
        figures = [
            Figure(f.name, f.value, f.error, f.better, f.protocol, _joined(f.note, warning)) for f in figures
        ]
    if _has_windows(real.shape):
        some = (each.batch(chosen(len(each), LIKENESS_IMAGES)).images for each in (fake, real))
        figures.append(_likeness(*map(similarity.likeness, some), protocol=protocol))
    return figures


def _of_samples(subject: Subject, extractor: Extractor, samples: int) -> list[Figure]:
    model, real = subject.model, subject.real
    rows = chosen(len(real), samples)
    # As many of each class as the real images have, if the model can be told.
    labels = None
    if takes_labels(model) and real.labels is not None:
        labels = torch.from_numpy(np.resize(real.labels[rows], samples))
    pieces = batches(model, samples, subject.seed, labels)
    shown = -(-min(LIKENESS_IMAGES, samples) // CHUNK)
    pieces = [*map(cache, pieces[:shown]), *pieces[shown:]]  # the first are looked at twice
    seen = real_statistics(real, extractor, samples, progress=subject.progress)
    fake = watched(extractor, pieces, "samples", progress=subject.progress)
    protocol = _protocol(subject)
    figures = compare(seen, fake, extractor, protocol)
    figures += _of_classes(seen, fake, extractor, protocol)
    figures += _of_memory(subject, extractor, fake, samples)
    if _has_windows(real.shape):
        ours = torch.cat([piece() for piece in pieces[:shown]])
        theirs = real.batch(rows[:LIKENESS_IMAGES]).images
        figures.append(_likeness(similarity.likeness(ours), similarity.likeness(theirs), protocol=protocol))
    if isinstance(model, HasPrior) and isinstance(model, Decodes):
        figures.append(_of_path(subject, extractor, protocol))
    return figures


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
        **_protocol(subject),
    }
    note = "nearer to training images than held-out images are" if found.z_score < -3 and found.ratio < 1 else ""
    yield Figure(f"nearest_ratio[{extractor.name}]", found.ratio, None, "none", stamp, note)
    yield Figure(f"copies[{extractor.name}]", found.copies, None, "lower", stamp)


def _of_path(subject: Subject, extractor: Extractor, protocol: Mapping[str, Any]) -> Figure:
    model: Any = subject.model
    noise = generator(subject.seed, "paths")
    starts, ends = model.prior(PATHS, noise), model.prior(PATHS, noise)
    places = torch.rand(PATHS, generator=noise).to(starts.device)
    labels = torch.arange(PATHS, device=starts.device) % model.classes if takes_labels(model) else None

    def decode(latents: Tensor) -> Tensor:
        with torch.no_grad():
            if labels is None:
                return torch.cat([model.decode(part) for part in torch.split(latents, CHUNK)])
            parts = zip(torch.split(latents, CHUNK), torch.split(labels, CHUNK), strict=True)
            return torch.cat([model.decode(*part) for part in parts])

    exact = extractor.exact()  # rounding to bytes would hide steps as small as these
    estimate = path_length(decode, lambda images: exact(images).features, starts, ends, places)
    stamp = {**exact.stamp, "paths": PATHS, **protocol}
    return Figure(f"path_length[{extractor.name}]", *estimate, "lower", stamp)


def _of_points(subject: Subject) -> Iterator[Figure]:
    source, model = subject.source, subject.model
    assert isinstance(model, Samples)
    assert source.modes is not None
    assert source.mode_spread is not None
    with torch.no_grad():
        points = model.sample(TOY_SAMPLES, generator(subject.seed, "measured samples")).flatten(1).cpu().numpy()
    coverage = modes.cover(points, source.modes, source.mode_spread)
    stamp = {"fake": TOY_SAMPLES, "within": f"{modes.WITHIN:g} standard deviations", **_protocol(subject)}
    yield Figure("modes", coverage.modes, None, "higher", stamp, f"of {len(source.modes)}")
    share = coverage.high_quality
    yield Figure("high_quality", share, (share * (1 - share) / TOY_SAMPLES) ** 0.5, "higher", stamp)
    yield Figure("reverse_kl", coverage.reverse_kl, None, "lower", stamp)


@torch.no_grad()
def _of_reconstructions(subject: Subject, most: int) -> Iterator[Figure]:
    """Yield the likeness of images to what comes back of them, in the mean over images."""
    model: Any = subject.model
    real, noise = subject.real, generator(subject.seed, "measured corruption")
    rows = chosen(len(real), most)
    measures: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Better]] = {
        "mse": (similarity.mse, "lower"),
        "psnr": (similarity.psnr, "higher"),
    }
    if _has_windows(real.shape):
        measures |= {"ssim": (similarity.ssim, "higher"), "ms_ssim": (similarity.ms_ssim, "higher")}
    prefixes = ["reconstruction", *(["denoising"] if isinstance(model, Corrupts) else [])]
    values: dict[str, list[Tensor]] = {f"{p}_{n}": [] for p in prefixes for n in measures}
    for part in np.array_split(rows, -(-len(rows) // CHUNK)):
        images = real.batch(part).images.to(of(model))
        for prefix in prefixes:
            given = model.corrupt(images, noise) if prefix == "denoising" else images
            again = model.reconstruct(given)
            for name, (measure, _) in measures.items():
                values[f"{prefix}_{name}"].append(measure(images, again).cpu().double())
    for name, parts in values.items():
        each, better = torch.cat(parts), measures[name.partition("_")[2]][1]
        yield Figure(name, *_mean(each), better, {"real": len(each), **_protocol(subject)})


@torch.no_grad()
def _of_likelihood(subject: Subject, most: int) -> Iterator[Figure]:
    """Yield the evidence bound, its two parts and the importance-weighted bound, where the model has them."""
    model: Any = subject.model
    where, real, noise = of(subject.model), subject.real, generator(subject.seed, "measured bound")
    images = real.batch(chosen(len(real), most)).images
    if subject.pixels == "binary":
        images = black_and_white(images, subject.seed)
    stamp = {"real": len(images), "pixels": subject.pixels, **_protocol(subject)}
    batches_of = [part.to(where) for part in torch.split(images, CHUNK)]
    bounds = -torch.cat([model.evidence_bound(part, noise).cpu().double() for part in batches_of])
    if counts_bits(model):
        value, error = (bits_per_dimension(nats, int(np.prod(real.shape))) for nats in _mean(bounds))
        yield Figure("bits_per_dimension", value, error, "lower", {**stamp, "pixels": "bytes"})
        return
    stamp["likelihood"] = subject.likelihood
    yield Figure("negative_bound", *_mean(bounds), "lower", stamp)
    if isinstance(model, SplitsBound):
        parts = [model.distortion_and_rate(part, noise) for part in batches_of]
        for place, name in enumerate(("distortion", "rate")):
            each = torch.cat([part[place].cpu().double() for part in parts])
            yield Figure(name, *_mean(each), "none", stamp)
        few = torch.split(images[:IMPORTANCE_IMAGES].to(where), IMPORTANCE_CHUNK)
        nll = -torch.cat([model.importance_bound(i, IMPORTANCE_DRAWS, noise).cpu().double() for i in few])
        stamp = {**stamp, "real": len(nll), "draws": IMPORTANCE_DRAWS}
        yield Figure("importance_nll", *_mean(nll), "lower", stamp)
        if subject.pixels != "unknown":
            value, error = _mean(nll)
            dimensions, levels = int(np.prod(real.shape)), 256 if subject.pixels == "continuous" else 0
            bits = bits_per_dimension(value, dimensions, levels=levels)
            yield Figure("bits_per_dimension", bits, bits_per_dimension(error, dimensions), "lower", stamp)


def _mean(values: Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return float(values.mean()), error


def _likeness(ours: float, theirs: float, *, protocol: Mapping[str, Any]) -> Figure:
    """Return MS-SSIM of pairs of samples, noted where it is far above that of pairs of real images."""
    note = f"{theirs:.3f} among real images" + (": samples are alike" if ours > theirs + 0.1 else "")
    return Figure("ms_ssim_of_pairs", ours, None, "none", {"pairs": similarity.PAIRS, **protocol}, note)


def _protocol(subject: Subject) -> dict[str, Any]:
    shape = _shape(subject.source.train.shape)
    return {"split": subject.split, "images": shape, "seed": subject.seed, **subject.stamp, "genlab": __version__}


def _shape(shape: ImageShape) -> str:
    return "×".join(map(str, shape))


def _has_windows(shape: ImageShape) -> bool:
    return min(shape[1:]) >= similarity.WINDOW


def _equal(real: Dataset, fake: Dataset) -> int:
    """Return how many images of `fake` are, byte by byte, among those of `real`."""
    known = set(_digests(real))
    return sum(digest in known for digest in _digests(fake))


def _digests(data: Dataset) -> Iterator[bytes]:
    for images in chunks(data.values):
        yield from (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
