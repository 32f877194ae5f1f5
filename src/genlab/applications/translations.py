"""The measures of models that make examples of sources, beside those of the sources as they are."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from genlab.applications.sample import chunks, sample_rows
from genlab.applications.subject import Subject, has_windows, mean_of, protocol_of, rows_of
from genlab.core.batch import Batch, at_once
from genlab.core.condition import SOURCE, SOURCE_LABEL, required_conditions
from genlab.core.contract import restores_whole
from genlab.core.device import device_of
from genlab.data.dataset import IntArray
from genlab.metrics import similarity
from genlab.metrics.estimate import Estimate
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.extractors.resize import as_bytes
from genlab.metrics.feature_statistics import FeatureStatistics
from genlab.metrics.figures import Better, Figure
from genlab.metrics.frechet import moments
from genlab.metrics.kernel import kernel_distance
from genlab.metrics.perceptual import perceptual, perceptual_stamp
from genlab.metrics.sets import frechet
from genlab.metrics.translation import most_compared, psnr_of_bytes, retrieved, untranslated
from genlab.runs.extractors import find_extractor
from genlab.runs.statistics import with_progress

PAIRS = 1000  # translations that are compared one by one
LEAST = 4  # images of a domain of which a distance is measured
Piece = Callable[[], Tensor]


def translates(subject: Subject) -> bool:
    """Whether the model makes pictures of source pictures."""
    conditions = subject.model.conditions
    needed = SOURCE in required_conditions(conditions)
    return needed and conditions[SOURCE].spatial == subject.real.spec.target.spatial == 2


def translates_domains(subject: Subject) -> bool:
    """Whether the model translates pictures between labelled domains."""
    return translates(subject) and "label" in subject.model.conditions and not subject.real.spec.aligned


@torch.no_grad()
def paired_error(subject: Subject) -> Iterator[Figure]:
    """Yield the squared error of samples, such as points, to what their sources should become."""
    if not required_conditions(subject.model.conditions) or not subject.real.spec.aligned or translates(subject):
        return
    count = min(PAIRS, len(subject.real))
    errors = torch.cat([similarity.mse(made, batch.x).double() for batch, made in _made(subject, count)])
    yield Figure("paired_mse", *mean_of(errors), "lower", {"pairs": count, **protocol_of(subject)})


@torch.no_grad()
def translation_fidelity(subject: Subject) -> Iterator[Figure]:
    """Yield how near translations are to their truth, beside how near their sources are."""
    if not translates(subject) or not subject.real.spec.aligned or restores_whole(subject.model):
        return
    measures, extractor = _measures_of_pairs(subject), subject.extractor
    count = min(PAIRS, len(subject.real), subject.samples)
    ours, theirs = (defaultdict[str, list[Tensor]](list) for _ in range(2))
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    candidates = min(count, most_compared(subject.real.spec.target.shape))
    for batch, made in _made(subject, count):
        source = untranslated(batch.condition[SOURCE], batch.x.shape[1:])
        for name, (function, _) in measures.items():
            for values, images in ((ours, made), (theirs, source)):
                values[name].append(function(images, batch.x).double())
        if sum(len(truth) for _, _, truth in kept) < candidates:
            kept.append((made, source, batch.x))
    stamp = {"pairs": count, **protocol_of(subject)}
    for name, (_, better) in measures.items():
        own = perceptual_stamp(extractor) if extractor and "[" in name else {}
        value, floor = (mean_of(torch.cat(values[name])) for values in (ours, theirs))
        yield beside(Figure(name, *value, better, {**own, **stamp}), floor[0])
    translations, sources, truths = (torch.cat(parts)[:candidates] for parts in zip(*kept, strict=True))
    found, floor = (mean_of(retrieved(images, truths)) for images in (translations, sources))
    yield beside(Figure("retrieval@1", *found, "higher", {**stamp, "pairs": candidates}), floor[0])


def _measures_of_pairs(subject: Subject) -> dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Better]]:
    """Return the measures of pairs of images that fit the size of the images and the extractor."""
    measures: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Better]] = {
        "translation_l1": (similarity.l1, "lower"),
        "translation_psnr": (psnr_of_bytes, "higher"),
    }
    if has_windows(subject.real.spec.target):
        measures["translation_ssim"] = (similarity.ssim, "higher")
    if subject.extractor is not None and subject.extractor.layers is not None:
        measures[f"perceptual[{subject.extractor.name}]"] = (partial(perceptual, subject.extractor), "lower")
    return measures


@torch.no_grad()
def cycle_error(subject: Subject) -> Iterator[Figure]:
    """Yield the error of sources that are translated and translated back, with and without rounding to bytes.

    A model that hides the source in differences finer than a byte has a far larger error with rounding.
    """
    if not translates(subject):
        return
    model, count = subject.model, min(PAIRS, len(subject.real), subject.samples)
    kinds: dict[str, Callable[[Tensor], Tensor]] = {"cycle_l1": as_bytes, "cycle_l1_unrounded": torch.clone}
    errors: dict[str, list[Tensor]] = {name: [] for name in kinds}
    for batch, made in _made(subject, count):
        on_device = batch.to(device_of(model))
        for name, stored in kinds.items():
            given = on_device.condition_for([SOURCE_LABEL])
            back = model.translate_back(stored(made.to(device_of(model))), given)
            errors[name].append(similarity.l1(back, on_device.condition[SOURCE]).cpu().double())
    for name, values in errors.items():
        yield Figure(name, *mean_of(torch.cat(values)), "lower", {"sources": count, **protocol_of(subject)})


@torch.no_grad()
def domain_accuracy(subject: Subject) -> Iterator[Figure]:
    """Yield the share of translations that a classifier, trained apart on the data, finds in the wanted domain."""
    if not translates_domains(subject):
        return
    extractor = subject.extractor
    if extractor is None or extractor.name != "classifier":
        device = device_of(subject.model)
        extractor = find_extractor("classifier", device, subject.source, progress=subject.progress)
    count, shape = min(PAIRS, len(subject.real), subject.samples), subject.real.spec.target.shape
    hits: dict[str, list[Tensor]] = {"made": [], "real": [], "source": []}
    for batch, made in _made(subject, count):
        images = {"made": made, "real": batch.x, "source": untranslated(batch.condition[SOURCE], shape)}
        for name, shown in images.items():
            seen = extractor(shown).probabilities
            assert seen is not None
            hits[name].append((seen.argmax(1) == batch.condition["label"]).double())
    ours, real, floor = (mean_of(torch.cat(hits[name])) for name in ("made", "real", "source"))
    stamp = {"classifier": extractor.weights, "pairs": count, **protocol_of(subject)}
    figure = Figure("domain_accuracy", *ours, "higher", stamp, f"{real[0]:.4g} of real images")
    yield beside(figure, floor[0])


def beside_sources(
    subject: Subject,
    extractor: Extractor,
    figures: Iterable[Figure],
    real: FeatureStatistics,
    fake: FeatureStatistics,
    index: IntArray,
) -> Iterator[Figure]:
    """Yield `figures` of translations; distances to the target domain beside those of the untranslated sources.

    Between labelled domains, distances are means over the domains: sources and targets of all domains together are
    the same images, whatever becomes of them. With too few images of each domain, nothing stands beside.
    """
    labels = _domains(subject, index[: len(fake.features)])
    if labels is None and translates_domains(subject):
        yield from figures
        return
    sources = with_progress(extractor, _sources(subject, index), "sources", progress=subject.progress)
    for figure in figures:
        kind = DISTANCES.get(figure.name.partition("[")[0])
        if kind is None:
            yield figure
            continue
        floor = _distance(kind, real, sources, labels)
        if labels is not None:
            value, domains = _distance(kind, real, fake, labels), len(_repeated(labels))
            note = f"mean over {domains} domains"
            stamp = {**figure.protocol, "domains": domains}
            figure = replace(figure, value=value.value, error=value.error, protocol=stamp, note=note)
        yield beside(figure, floor.value)


def beside(figure: Figure, floor: float) -> Figure:
    """Return a figure with its floor: the same measure of the untranslated sources."""
    note = "; ".join(part for part in (f"{floor:.4g} untranslated", figure.note) if part)
    return replace(figure, floor=floor, note=note)


def pieces_of_translations(subject: Subject, index: IntArray) -> Sequence[Piece]:
    """Return functions that make the translations of the sources at `index`, which they read themselves."""
    return [partial(_translated, subject, index, rows) for rows in _chunks(subject, len(index))]


def _translated(subject: Subject, index: IntArray, rows: range) -> Tensor:
    batch = subject.real.batch(index[rows.start : rows.stop])
    given = batch.condition_for(subject.model.conditions)
    return sample_rows(subject.model, device_of(subject.model), subject.seed, rows, given)


def _made(subject: Subject, count: int) -> Iterator[tuple[Batch, Tensor]]:
    """Yield `count` examples with what the model makes of their sources, in chunks, on the CPU."""
    index = rows_of(subject, count)
    for rows in _chunks(subject, count):
        yield subject.real.batch(index[rows.start : rows.stop]), _translated(subject, index, rows)


def _sources(subject: Subject, index: IntArray) -> Sequence[Piece]:
    shape = subject.real.spec.target.shape

    def piece(rows: range) -> Tensor:
        return untranslated(subject.real.batch(index[rows.start : rows.stop]).condition[SOURCE], shape)

    return [partial(piece, rows) for rows in _chunks(subject, len(index))]


def _chunks(subject: Subject, count: int) -> list[range]:
    return chunks(count, at_once(subject.real.spec.target.shape))


def _domains(subject: Subject, index: IntArray) -> Tensor | None:
    """Return the domain of each example at `index`; None if there are none, or too few images of each."""
    if not translates_domains(subject) or subject.real.labels is None:
        return None
    labels = torch.from_numpy(np.asarray(subject.real.labels[index]))
    return labels if _repeated(labels) else None


def _repeated(labels: Tensor) -> list[int]:
    """Return the domains of which there are enough images to measure a distance."""
    return [label for label, count in enumerate(labels.bincount().tolist()) if count >= LEAST]


Distance = Callable[[FeatureStatistics, FeatureStatistics], Estimate]


def _distance(kind: Distance, real: FeatureStatistics, fake: FeatureStatistics, labels: Tensor | None) -> Estimate:
    """Return a distance; with labels of the rows of both, the mean of those within each domain."""
    if labels is None:
        return kind(real, fake)
    parts = [kind(_only(real, labels == label), _only(fake, labels == label)) for label in _repeated(labels)]
    return Estimate(fmean(part.value for part in parts), math.hypot(*(part.error for part in parts)) / len(parts))


def _only(statistics: FeatureStatistics, rows: Tensor) -> FeatureStatistics:
    features = statistics.features[: len(rows)][rows]
    return FeatureStatistics(moments(features), features, None)


def _kernel(real: FeatureStatistics, fake: FeatureStatistics) -> Estimate:
    return kernel_distance(real.features, fake.features)


DISTANCES: dict[str, Distance] = {"fd": frechet, "fid": frechet, "kd": _kernel, "kid": _kernel}
