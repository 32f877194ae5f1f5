"""Evaluates a model during training, by its capabilities, on held-out examples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch, at_once
from genlab.core.condition import condition_rows, required_conditions
from genlab.core.contract import (
    BoundsLikelihood,
    Corrupts,
    Evaluator,
    Reconstructs,
    Samples,
    preview_sampling,
)
from genlab.core.random import generator
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.feature_statistics import FeatureStatistics, feature_statistics
from genlab.metrics.figures import Figure
from genlab.metrics.frechet import Gaussian, frechet_distance, gaussian
from genlab.metrics.likelihood import bits_per_dimension
from genlab.training.criterion import criterion_of
from genlab.training.criterion import values_of as values_of

FEW = 250  # most samples of a model that samples in many passes; else evaluations would take a fifth of the time


def _silent(_: object) -> None:
    """Report nothing."""


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


@dataclass(frozen=True)
class SampleDistance:
    """The Fréchet distance of samples to real images; the Gaussian of the real images is computed once."""

    extractor: Extractor
    real: Gaussian
    images: int  # real ones in the Gaussian
    samples: int  # most samples of an evaluation

    @classmethod
    def of(cls, extractor: Extractor, real: FeatureStatistics, samples: int) -> "SampleDistance":
        """Return the distance to real images with the feature statistics `real`."""
        few = real.count == len(real.features)
        return cls(extractor, gaussian(real.features if few else real.whole, "real"), real.count, samples)

    def __call__(self, pieces: Sequence[Callable[[], Tensor]], advance: Callable[[int], None] = _silent) -> float:
        """Return the Fréchet distance of the samples that `pieces` make; `advance` gets numbers of measured ones.

        It is quick: with so few samples, the features are a smaller root of the covariance than a D × D matrix.
        """

        def network(images: Tensor) -> ExtractorOutput:
            output = self.extractor.network(images)
            advance(len(images))
            return output

        watched = replace(self.extractor, network=network)
        return frechet_distance(self.real, feature_statistics(watched, pieces).features)


@dataclass(frozen=True)
class HeldOut:
    """The held-out examples that a model is evaluated on during training."""

    batch: Batch  # held-out examples and their conditions, on the model's device
    seed: int  # of the noise, which is the same every time
    distance: SampleDistance | None = None  # of samples; by default in the pixels of the held-out examples
    status: Callable[[str], None] = _silent  # is called with what is being measured

    @property
    def chunks(self) -> Sequence[Batch]:
        """The examples in chunks."""
        each = at_once(self.batch.x.shape[1:])
        return [self.batch[start : start + each] for start in range(0, len(self.batch), each)]

    def noise(self) -> torch.Generator:
        """Return a new generator of an evaluation's noise."""
        return generator(self.seed, "evaluation")


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
    yield Figure("denoising_mse", _error(model, [(model.corrupt(c.x, noise), c.x) for c in held_out.chunks]))


def reconstruction(model: Reconstructs, held_out: HeldOut) -> Iterator[Figure]:
    """Yield `reconstruction_mse`, the mean squared error per number of reconstructed examples."""
    yield Figure("reconstruction_mse", _error(model, [(c.x, c.x) for c in held_out.chunks]))


def sample_distance(model: Any, held_out: HeldOut) -> Iterator[Figure]:  # noqa: ANN401 (a module that samples)
    """Yield `fd[…]`, the Fréchet distance of samples to held-out examples in the features of an extractor.

    It is no FID. Samples have the conditions of the held-out examples; a model that takes many passes for a sample
    makes fewer of them.
    """
    distance = held_out.distance or by_pixels(held_out.batch)
    with preview_sampling(model) as how:
        samples = min(distance.samples, FEW) if how else distance.samples
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            held_out.status(f"evaluating: {done:,} of {samples:,} samples by {distance.extractor.name}")

        value = distance(_sample_batches(model, held_out.batch, samples, held_out.seed), advance)
    made = {f"model_{name}": option for name, option in how.items()}
    protocol = {**distance.extractor.stamp, "real": distance.images, "fake": samples, **made}
    yield Figure(f"fd[{distance.extractor.name}]", value, better="lower", protocol=protocol)


EVALUATORS: Sequence[Evaluator] = (
    Evaluator((BoundsLikelihood,), bound),
    Evaluator((Reconstructs, Corrupts), denoising),
    Evaluator((Reconstructs,), reconstruction),
    Evaluator((Samples,), sample_distance),
)


def evaluate(
    model: nn.Module,
    held_out: Batch,
    seed: int,
    distance: SampleDistance | None = None,
    status: Callable[[str], None] = _silent,
) -> Evaluation:
    """Measure a model in evaluation mode, with every row of `EVALUATORS` that fits it, and report to `status`.

    `CRITERIA` determines which value decides on the best checkpoint.
    """
    given = HeldOut(held_out, seed, distance, status)
    status("evaluating")
    figures = [figure for row in EVALUATORS if row.fits(model) for figure in row.measure(model, given)]
    values = {figure.name: figure.value for figure in figures}
    protocol = {name: value for figure in figures for name, value in figure.protocol.items()}
    return Evaluation(values, criterion_of(values), len(held_out), protocol)


def by_pixels(held_out: Batch) -> SampleDistance:
    """Return the distance in pixels, which show layout and tone, for as many samples as held-out images."""
    extractor = pixels(held_out.x.device, exact=held_out.x.ndim < 4)
    pieces = [partial(torch.clone, chunk) for chunk in torch.split(held_out.x, at_once(held_out.x.shape[1:]))]
    return SampleDistance.of(extractor, feature_statistics(extractor, pieces), len(held_out))


def _error(model: Reconstructs, pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    errors = [(model.reconstruct(given) - wanted).square().flatten(1).mean(1) for given, wanted in pairs]
    return torch.cat(errors).mean().item()


def _sample_batches(model: Samples, held_out: Batch, count: int, seed: int) -> Sequence[Callable[[], Tensor]]:
    """Return functions that make the batches of samples, with the conditions of the held-out examples."""
    given = held_out.condition_for(model.conditions)

    def piece(index: Tensor) -> Tensor:
        noise = generator(seed, "evaluation samples", int(index[0]))
        return model.sample(len(index), condition_rows(given, index % len(held_out)), noise)

    return [partial(piece, index) for index in torch.split(torch.arange(count), at_once(held_out.x.shape[1:]))]
