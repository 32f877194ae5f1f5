"""The measures of a model: a row of `EVALUATORS` for each, with the capabilities that it requires."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.applications.fillings import hole_fidelity
from genlab.applications.likelihoods import likelihood_bound, split_bound
from genlab.applications.restorations import restoration_fidelity
from genlab.applications.sample import batches
from genlab.applications.subject import Subject, has_windows, mean_of, protocol_of, sources_of
from genlab.applications.tables import rows_like_real
from genlab.applications.translations import (
    beside_sources,
    cycle_error,
    domain_accuracy,
    paired_error,
    pieces_of_translations,
    translates,
    translation_fidelity,
)
from genlab.core.batch import at_once
from genlab.core.condition import condition_rows, fill
from genlab.core.contract import (
    BoundsLikelihood,
    Corrupts,
    Decodes,
    Denoises,
    Evaluator,
    HasPrior,
    Reconstructs,
    Restores,
    Samples,
    SplitsBound,
    TranslatesBack,
    restores_whole,
)
from genlab.core.device import device_of
from genlab.core.modality import Modality
from genlab.core.random import generator
from genlab.data.dataset import conditions_of
from genlab.metrics import modes, similarity
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.feature_statistics import KEPT, FeatureStatistics
from genlab.metrics.figures import Better, Figure
from genlab.metrics.neighbours import memorisation
from genlab.metrics.path_length import path_length
from genlab.metrics.sets import classes_reached, compare
from genlab.runs.statistics import random_rows, real_statistics, with_progress

TOY_SAMPLES = 2500  # of the published protocol
PATHS = 500
LIKENESS_IMAGES = 1000  # images that pairs for MS-SSIM are drawn from


@torch.no_grad()
def mode_coverage(subject: Subject) -> Iterator[Figure]:
    """Yield the mode coverage of samples, for data with known modes."""
    source, model = subject.source, subject.model
    if source.modes is None or source.mode_spread is None:
        return
    condition = sources_of(subject, TOY_SAMPLES)
    points = model.sample(TOY_SAMPLES, condition, generator(subject.seed, "measured samples"))
    coverage = modes.cover(points.flatten(1).cpu().numpy(), source.modes, source.mode_spread)
    stamp = {"fake": TOY_SAMPLES, "within": f"{modes.WITHIN:g} standard deviations", **protocol_of(subject)}
    yield Figure("modes", coverage.modes, None, "higher", stamp, f"of {len(source.modes)}")
    share = coverage.high_quality
    yield Figure("high_quality", share, (share * (1 - share) / TOY_SAMPLES) ** 0.5, "higher", stamp)
    yield Figure("reverse_kl", coverage.reverse_kl, None, "lower", stamp)


def sample_quality(subject: Subject) -> Iterator[Figure]:
    """Yield the figures that compare samples with real and with training examples in an extractor's features."""
    model, extractor, samples, real = subject.model, subject.extractor, subject.samples, subject.real
    if extractor is None or restores_whole(model):
        return
    index, chunk = random_rows(len(real), samples), at_once(real.spec.target.shape)
    if translates(subject):
        samples = len(index)  # of each source once: a second translation may be the same
        pieces = pieces_of_translations(subject, index)
    else:
        # Under the conditions of the real images, so that the shares of the classes are the same.
        given = conditions_of(real, np.resize(index, samples), model.conditions)
        pieces = batches(model, samples, subject.seed, given, chunk)
    alike = min(images_in_pairs(real.spec.target), samples)
    used_twice = -(-alike // chunk)
    pieces = [*map(cache, pieces[:used_twice]), *pieces[used_twice:]]
    of_real = real_statistics(real, extractor, samples, progress=subject.progress)
    fake = with_progress(extractor, pieces, "samples", progress=subject.progress)
    protocol = protocol_of(subject)
    figures = compare(of_real, fake, extractor, protocol)
    yield from (
        beside_sources(subject, extractor, figures, of_real, fake, index) if translates(subject) else figures
    )
    yield from _class_coverage(of_real, fake, extractor, protocol)
    yield from _memorisation(subject, extractor, fake, samples)
    if has_windows(real.spec.target):
        ours = torch.cat([piece() for piece in pieces[:used_twice]])[:alike]
        yield likeness_of_pairs(ours, real.batch(index[:alike]).x, protocol)


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
    condition = fill(model.conditions, sources_of(subject, PATHS), PATHS, starts.device)

    exact = extractor.exact()  # rounding to bytes would hide such small steps
    each = at_once(subject.real.spec.target.shape)

    @torch.no_grad()
    def features(latents: Tensor) -> Tensor:
        parts = [slice(start, start + each) for start in range(0, len(latents), each)]
        decoded = (model.decode(latents[part], condition_rows(condition, part)) for part in parts)
        return torch.cat([exact(images).features for images in decoded])

    estimate = path_length(features, starts, ends, places)
    stamp = {**exact.stamp, "paths": PATHS, **protocol_of(subject)}
    yield Figure(f"path_length[{extractor.name}]", *estimate, "lower", stamp)


def reconstruction(subject: Subject) -> Iterator[Figure]:
    """Yield the similarity of examples and their reconstructions."""
    yield from _similarity("reconstruction", subject, subject.model.reconstruct)


def denoising(subject: Subject) -> Iterator[Figure]:
    """Yield the similarity of examples and what is restored of corrupted copies."""
    noise, model = generator(subject.seed, "measured corruption"), subject.model
    yield from _similarity("denoising", subject, lambda x: model.denoise(model.corrupt(x, noise)))


@torch.no_grad()
def _similarity(name: str, subject: Subject, again: Callable[[Tensor], Tensor]) -> Iterator[Figure]:
    real = subject.real
    measures: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Better]] = {"mse": (similarity.mse, "lower")}
    if real.spec.target.bounded or real.spec.target.fine:  # values of a range, which the PSNR refers to
        measures["psnr"] = similarity.psnr, "higher"
    if has_windows(real.spec.target):
        measures |= {"ssim": (similarity.ssim, "higher"), "ms_ssim": (similarity.ms_ssim, "higher")}
    values: dict[str, list[Tensor]] = {measure: [] for measure in measures}
    index = random_rows(len(real), subject.samples)
    for part in np.array_split(index, -(-len(index) // at_once(real.spec.target.shape))):
        x = real.batch(part).x.to(device_of(subject.model))
        made = again(x)
        for measure, (function, _) in measures.items():
            values[measure].append(function(x, made).cpu().double())
    for measure, parts in values.items():
        stamp = {"real": len(index), **protocol_of(subject)}
        yield Figure(f"{name}_{measure}", *mean_of(torch.cat(parts)), measures[measure][1], stamp)


EVALUATORS: Sequence[Evaluator] = (
    Evaluator((Samples,), mode_coverage),
    Evaluator((Samples,), paired_error),
    Evaluator((Samples,), translation_fidelity),
    Evaluator((Restores,), restoration_fidelity),
    Evaluator((Restores,), hole_fidelity),
    Evaluator((Samples,), domain_accuracy),
    Evaluator((Samples, TranslatesBack), cycle_error),
    Evaluator((Samples,), sample_quality),
    Evaluator((Samples,), rows_like_real),
    Evaluator((Samples, HasPrior, Decodes), latent_path_length),
    Evaluator((Reconstructs,), reconstruction),
    Evaluator((Denoises, Corrupts), denoising),
    Evaluator((BoundsLikelihood,), likelihood_bound),
    Evaluator((SplitsBound,), split_bound),
)


def likeness_of_pairs(fake: Tensor, real: Tensor, protocol: Mapping[str, Any]) -> Figure:
    """Return the MS-SSIM of pairs of samples, with a note if it is far above that of pairs of real images."""
    ours, theirs = similarity.likeness(fake), similarity.likeness(real)
    note = f"{theirs.value:.3f} among real images"
    note += f", of {theirs.pairs} pairs" * (theirs.pairs != ours.pairs)
    note += ": samples are alike" * (ours.value > theirs.value + 0.1)
    return Figure("ms_ssim_of_pairs", ours.value, None, "none", {"pairs": ours.pairs, **protocol}, note)


def images_in_pairs(modality: Modality) -> int:
    """Return how many images the pairs for MS-SSIM are of: two for each pair, at most `LIKENESS_IMAGES`."""
    return min(LIKENESS_IMAGES, 2 * similarity.pairs_for(modality.shape))
