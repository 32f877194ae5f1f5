"""Evaluates a model during training, by its capabilities, on held-out examples."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, at_once
from genlab.core.condition import MASK, SOURCE, SOURCE_LABEL, STYLE, required_conditions
from genlab.core.contract import (
    BoundsLikelihood,
    Corrupts,
    Denoises,
    Evaluator,
    Reconstructs,
    Restores,
    Samples,
    Stylizes,
    TranslatesBack,
    preview_sampling,
    restores_whole,
)
from genlab.core.distributed import all_gather_object
from genlab.core.random import generator
from genlab.metrics.extractors.resize import as_bytes
from genlab.metrics.feature_statistics import NotFiniteError
from genlab.metrics.figures import Figure
from genlab.metrics.holes import hole_l1, hole_psnr
from genlab.metrics.likelihood import bits_per_dimension
from genlab.metrics.restoration import border_of, psnr_y
from genlab.metrics.similarity import l1
from genlab.metrics.translation import psnr_of_bytes, untranslated
from genlab.training.criterion import TRUTH, criterion_of
from genlab.training.criterion import values_of as values_of
from genlab.training.held_out import HeldOut, SampleDistance, repeated, silent

STYLE_WEIGHT = 10  # of the style beside the content (Huang and Belongie, 2017)
FEW = 250  # most samples of a model that samples in many passes; else evaluations would take a fifth of the time


@dataclass(frozen=True)
class Evaluation:
    """Values by name; the criterion is the value that decides which checkpoint is best."""

    values: Mapping[str, float]
    criterion: str  # the lower its value, the better
    images: int  # held-out ones that were evaluated
    protocol: Mapping[str, Any] = field(default_factory=dict)  # of the distance of samples

    @property
    def value(self) -> float:
        """The value of the criterion."""
        return self.values[self.criterion]

    def event(self) -> dict[str, Any]:
        """Return the evaluation as plain values."""
        protocol = {"protocol": dict(self.protocol)} if self.protocol else {}
        return {**self.values, "criterion": self.criterion, "images": self.images, **protocol}


def bound(model: Any, held_out: HeldOut) -> Iterator[Figure]:  # noqa: ANN401 (a module that bounds)
    """Yield the mean −ELBO: `bits_per_dimension` for bytes, else `negative_bound` in nats.

    Nats contain a constant of the likelihood, so compare only runs with the same --reconstruction. The model gets
    the sources, but no labels.
    """
    noise, given = held_out.noise(), required_conditions(model.conditions)
    bounds = [model.evidence_bound(chunk.x, chunk.condition_for(given), noise) for chunk in held_out.chunks]
    nats = -torch.cat(bounds).mean().item()
    if model.levels:
        yield Figure("bits_per_dimension", bits_per_dimension(nats, held_out.batch.x[0].numel()), better="lower")
    else:
        yield Figure("negative_bound", nats, better="lower")


def denoising(model: Any, held_out: HeldOut) -> Iterator[Figure]:  # noqa: ANN401 (two capabilities at once)
    """Yield `denoising_mse`, the mean squared error per number of restored examples, given corrupted ones."""
    noise = held_out.noise()
    yield Figure(
        "denoising_mse", _error(model.denoise, [(model.corrupt(c.x, noise), c.x) for c in held_out.chunks])
    )


def reconstruction(model: Reconstructs, held_out: HeldOut) -> Iterator[Figure]:
    """Yield `reconstruction_mse`, the mean squared error per number of reconstructed examples."""
    yield Figure("reconstruction_mse", _error(model.reconstruct, [(c.x, c.x) for c in held_out.chunks]))


def sample_distance(model: Any, held_out: HeldOut) -> Iterator[Figure]:  # noqa: ANN401 (a module that samples)
    """Yield `fd[…]`, the Fréchet distance of samples to held-out examples in the features of an extractor.

    It is no FID. Samples have the conditions of the held-out examples; a model that takes many passes for a sample
    makes fewer of them. Models that translate images also yield the figures of `Translations` and `fd_source[…]`;
    not between domains of which none has two examples, as all sources together are all targets. Models that
    restore whole images are measured only in features that somebody asked for. Samples that are not finite
    have the distance NaN.
    """
    if restores_whole(model) and held_out.given is None:
        return
    distance, batch = held_out.distance, held_out.batch
    translations = Translations(model, held_out) if translates(model, batch) else None
    with preview_sampling(model) as how:
        samples = min(distance.samples, FEW) if how else distance.samples
        samples = min(samples, len(batch)) if translations else samples
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            held_out.status(f"evaluating: {done:,} of {samples:,} samples by {distance.extractor.name}")

        pieces = _sample_batches(model, batch, samples, held_out.seed, translations)
        try:
            features = distance.features(pieces, advance)
        except NotFiniteError:
            features = None
    made = {f"model_{name}": option for name, option in how.items()}
    protocol = {**distance.extractor.stamp, "real": distance.images, "fake": samples, **made}
    domains = translations.domains(samples) if translations else 0
    protocol |= {"domains": domains} if domains else {}
    value = nan if features is None else held_out.distance_of(features, by_label=bool(domains))
    yield Figure(f"fd[{distance.extractor.name}]", value, better="lower", protocol=protocol)
    if translations and (domains or not translations.between_domains):
        floor = held_out.floor(samples, by_label=bool(domains))
        yield Figure(f"fd_source[{distance.extractor.name}]", floor)
    if translations:
        yield from translations.figures()


def translates(model: Samples, batch: Batch) -> bool:
    """Whether a model makes images of source images."""
    source = batch.condition.get(SOURCE)
    needed = SOURCE in required_conditions(model.conditions)
    return needed and source is not None and batch.x.ndim == source.ndim == 4


@dataclass
class Translations:
    """Compares translations with their truth, if it is known, and their sources with those translated back."""

    model: Any
    held_out: HeldOut
    errors: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))

    def add(self, made: Tensor, part: Batch) -> None:
        """Measure the translations of a part of the held-out examples."""
        source = part.condition[SOURCE]
        if self.held_out.aligned and not restores_whole(self.model):
            self.errors[TRUTH].append(l1(made, part.x))
            self.errors["translation_psnr"].append(psnr_of_bytes(made, part.x))
            self.errors["source_l1"].append(l1(untranslated(source, part.x.shape[1:]), part.x))
        if isinstance(self.model, TranslatesBack):
            back = self.model.translate_back(as_bytes(made), part.condition_for([SOURCE_LABEL]))
            self.errors["cycle_l1"].append(l1(back, source))

    @property
    def between_domains(self) -> bool:
        """Whether the model translates between labelled domains."""
        return not self.held_out.aligned and "label" in self.model.conditions

    def domains(self, samples: int) -> int:
        """Return how many domains the first examples are twice or more of; 0 if there are no domains."""
        if not self.between_domains:
            return 0
        return len(repeated(self.held_out.batch.condition["label"][:samples].cpu()))

    def figures(self) -> Iterator[Figure]:
        """Yield the means over the translations of all processes."""
        of_processes = all_gather_object({name: torch.cat(rows).cpu() for name, rows in self.errors.items()})
        for name in max(of_processes, key=len):
            values = torch.cat([rows[name] for rows in of_processes if name in rows])
            yield Figure(name, values.mean().item())


def restoration(model: Any, held_out: HeldOut) -> Iterator[Figure]:  # noqa: ANN401 (a module that restores)
    """Yield how near restored images are to the originals, beside how near their sources are.

    `restoration_l1` is the mean absolute error; `psnr_y` the mean PSNR of the luma, as `likeness` measures it, and
    `psnr_y_source` that of the sources, enlarged by bicubic interpolation if they are smaller.
    """
    if not restores_whole(model):
        return
    errors: dict[str, list[Tensor]] = defaultdict(list)
    for chunk in held_out.chunks:
        source, made = chunk.condition[SOURCE], model.restore(chunk.condition_for(model.conditions))
        errors["restoration_l1"].append(l1(made, chunk.x))
        scale = chunk.x.shape[2] // source.shape[2]
        border = border_of(scale) if source.shape[2] > 2 else 0
        for name, images in (("psnr_y", made), ("psnr_y_source", untranslated(source, chunk.x.shape[1:]))):
            errors[name].append(psnr_y(images, chunk.x, border))
    for name, values in errors.items():
        yield Figure(name, torch.cat(values).mean().item())


def inpainting(model: Any, held_out: HeldOut) -> Iterator[Figure]:  # noqa: ANN401 (a module that fills holes)
    """Yield how near filled holes are to the originals, beside how near fills without a model are.

    `hole_psnr` and `hole_l1` are of the missing pixels alone; `harmonic_psnr` and `mean_psnr` are `hole_psnr` of
    harmonic filling and of the mean of the known pixels.
    """
    if MASK not in model.conditions or MASK not in held_out.batch.condition:
        return
    errors: dict[str, list[Tensor]] = defaultdict(list)
    for chunk in held_out.chunks:
        made, hole = model.restore(chunk.condition_for(model.conditions)), chunk.condition[MASK] > 0
        errors["hole_psnr"].append(hole_psnr(made, chunk.x, hole))
        errors["hole_l1"].append(hole_l1(made, chunk.x, hole))
    for name, values in errors.items():
        yield Figure(name, torch.cat(values).mean().item())
    for name, value in held_out.hole_floors.items():
        yield Figure(name, value)


def style_transfer(model: Stylizes, held_out: HeldOut) -> Iterator[Figure]:
    """Yield the mean distances of stylized contents to content and style, and the sum with the paper's weights."""
    given = [chunk.condition for chunk in held_out.chunks]
    pairs = [model.transfer_distances(each[SOURCE], each[STYLE]) for each in given]
    content, style = (torch.cat(part).mean().item() for part in zip(*pairs, strict=True))
    yield Figure("content_distance", content, better="lower")
    yield Figure("style_distance", style, better="lower")
    yield Figure("transfer_distance", content + STYLE_WEIGHT * style, better="lower")


EVALUATORS: Sequence[Evaluator] = (
    Evaluator((BoundsLikelihood,), bound),
    Evaluator((Denoises, Corrupts), denoising),
    Evaluator((Reconstructs,), reconstruction),
    Evaluator((Stylizes,), style_transfer),
    Evaluator((Restores,), restoration),
    Evaluator((Restores,), inpainting),
    Evaluator((Samples,), sample_distance),
)


def evaluate(
    model: nn.Module,
    held_out: Batch,
    seed: int,
    distance: SampleDistance | None = None,
    status: Callable[[str], None] = silent,
) -> Evaluation:
    """Measure a model in evaluation mode as `evaluate_on` does; an example is what its source should become."""
    return evaluate_on(HeldOut(held_out, seed, distance, status), model)


def evaluate_on(held_out: HeldOut, model: nn.Module, *, pairs: bool = True) -> Evaluation:
    """Measure a model in evaluation mode, with every row of `EVALUATORS` that fits it.

    `CRITERIA` determines which value decides on the best checkpoint. A model that has not learned from `pairs`,
    or that gives up some fidelity on purpose, is only measured by the truth: it may not decide.
    """
    held_out.status("evaluating")
    figures = [figure for row in EVALUATORS if row.fits(model) for figure in row.measure(model, held_out)]
    values = {figure.name: figure.value for figure in figures}
    protocol = {name: value for figure in figures for name, value in figure.protocol.items()}
    decisive = {name: value for name, value in values.items() if pairs or name != TRUTH}
    return Evaluation(values, criterion_of(decisive), len(held_out.batch), protocol)


def _error(made: Callable[[Tensor], Tensor], pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    errors = [(made(given) - wanted).square().flatten(1).mean(1) for given, wanted in pairs]
    return torch.cat(errors).mean().item()


def _sample_batches(
    model: Samples, held_out: Batch, count: int, seed: int, translations: Translations | None
) -> Sequence[Callable[[], Tensor]]:
    """Return functions that make the batches of samples, with the conditions of the held-out examples."""

    def piece(index: Tensor) -> Tensor:
        noise, part = generator(seed, "evaluation samples", int(index[0])), held_out[index % len(held_out)]
        made = model.sample(len(index), part.condition_for(model.conditions), noise)
        if translations:
            translations.add(made, part)
        return made

    return [partial(piece, index) for index in torch.split(torch.arange(count), at_once(held_out.x.shape[1:]))]
