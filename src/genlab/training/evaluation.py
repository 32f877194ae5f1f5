"""How good the model is while it trains: by what it can do, on pictures that it never saw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import (
    BoundsLikelihood,
    Corrupts,
    Reconstructs,
    Samples,
    SamplesInSteps,
    counts_bits,
    preview_sampling,
    takes_labels,
)
from genlab.core.errors import GenlabError
from genlab.core.random import generator
from genlab.core.signals import signal
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.feature_statistics import FeatureStatistics, feature_statistics
from genlab.metrics.frechet import Gaussian, frechet_distance, gaussian
from genlab.metrics.likelihood import bits_per_dimension

CHUNK = 250
FEW = 250  # samples at most where each takes many passes: evaluations would take a fifth of the time
# What decides which checkpoint is best: the first of these that an evaluation has. Other values never decide.
CRITERIA = ("bits_per_dimension", "negative_bound", "denoising_mse", "reconstruction_mse", "fd[{extractor}]")
_NOT_VALUES = ("step", "time", "event", "criterion", "images", "best", "protocol")  # of an evaluation's event


@dataclass(frozen=True)
class Evaluation:
    """Values by name, the name of the one that decides which checkpoint is best, and on how many images."""

    values: Mapping[str, float]
    criterion: str  # the lower its value, the better
    images: int
    protocol: Mapping[str, Any] = field(default_factory=dict)  # of the distance of samples

    @property
    def value(self) -> float:
        """The value of the criterion."""
        return self.values[self.criterion]


def criterion_of(values: Mapping[str, float]) -> str:
    """Return the name in `values` that comes first in `CRITERIA`, whatever the order of `values`.

    Raises:
        GenlabError: no name is in `CRITERIA`, so that no checkpoint could be the best.
    """
    for row in CRITERIA:
        for name in sorted(values):
            if signal(name).name == row:
                return name
    raise GenlabError(
        f"no value of this evaluation can decide which checkpoint is best. It has: {', '.join(values) or 'none'}. "
        f"These can: {', '.join(CRITERIA)}. Give the model one of the capabilities that they measure."
    )


def values_of(event: Mapping[str, Any]) -> dict[str, float]:
    """Return the values of an evaluation that was recorded as an event."""
    return {name: value for name, value in event.items() if name not in _NOT_VALUES}


def recorded_criterion(event: Mapping[str, Any]) -> tuple[str, float]:
    """Return name and value of the criterion of an evaluation that was recorded as an event.

    Events of older versions do not name their criterion: it is the one that `criterion_of` returns.
    """
    name = event.get("criterion") or criterion_of(values_of(event))
    return name, event[name]


@dataclass(frozen=True)
class DiscriminatorFunction:
    """Who says how far samples are from real images, with what it saw of these once."""

    extractor: Extractor
    real: Gaussian
    images: int  # real ones that were seen
    samples: int  # to be seen each time, or fewer

    @classmethod
    def of(cls, extractor: Extractor, real: FeatureStatistics, samples: int) -> "DiscriminatorFunction":
        """Return the judge that saw `real` through `extractor`."""
        few = real.count == len(real.features)
        return cls(extractor, gaussian(real.features if few else real.whole, "real"), real.count, samples)

    def distance(self, pieces: Sequence[Callable[[], Tensor]]) -> float:
        """Return the Fréchet distance of the samples that `pieces` make.

        Of so few samples the features are a smaller root of the covariance than D × D, so that it is quick.
        """
        return frechet_distance(self.real, feature_statistics(self.extractor, pieces).features)


def evaluate(
    model: nn.Module, held_out: Batch, seed: int, judge: DiscriminatorFunction | None = None
) -> Evaluation:
    """Measure every capability of `model` that says how good it is.

    - bounds the likelihood: `negative_bound`, the mean −ELBO of held-out images in nats, up to a constant that
      depends on the likelihood: to be compared between runs with the same --reconstruction only;
      Where it is the likelihood of bytes, it is `bits_per_dimension` in its place, which any two runs share;
    - corrupts: `denoising_mse`, the mean squared error per pixel in [-1, 1] of what it makes of spoilt held-out
      images;
    - reconstructs: `reconstruction_mse`, the same error where it is given the held-out images as they are;
    - samples: `fd[…]`, the Fréchet distance of samples to held-out images in the features of the judge. It is no
      FID. A model that takes labels is given those of the held-out images, and one that takes many passes for an
      image makes fewer of them.

    `CRITERIA` says which of these is the criterion. The same noise is used every time.

    Args:
        model: in evaluation mode.
        held_out: images and their labels, on the model's device.
        seed: of the noise.
        judge: of samples; by default the pixels of the held-out images themselves.
    """
    noise = generator(seed, "evaluation")
    chunks = torch.split(held_out.images, CHUNK)
    values: dict[str, float] = {}
    protocol: dict[str, Any] = {}
    if isinstance(model, BoundsLikelihood):
        bounds = torch.cat([model.evidence_bound(chunk, noise) for chunk in chunks])
        if counts_bits(model):
            values["bits_per_dimension"] = bits_per_dimension(-bounds.mean().item(), held_out.images[0].numel())
        else:
            values["negative_bound"] = -bounds.mean().item()
    if isinstance(model, Reconstructs) and isinstance(model, Corrupts):
        spoilt = [(model.reconstruct(model.corrupt(c, noise)) - c).square().flatten(1).mean(1) for c in chunks]
        values["denoising_mse"] = torch.cat(spoilt).mean().item()
    if isinstance(model, Reconstructs):
        errors = torch.cat([(model.reconstruct(c) - c).square().flatten(1).mean(1) for c in chunks])
        values["reconstruction_mse"] = errors.mean().item()
    if isinstance(model, Samples):
        judge = judge or by_pixels(held_out)
        samples = min(judge.samples, FEW) if isinstance(model, SamplesInSteps) else judge.samples
        with preview_sampling(model) as how:
            distance = judge.distance(_pieces(model, held_out, samples, seed))
        values[f"fd[{judge.extractor.name}]"] = distance
        made = {f"model_{name}": value for name, value in how.items()}
        protocol = {**judge.extractor.stamp, "real": judge.images, "fake": samples, **made}
    return Evaluation(values, criterion_of(values), len(held_out), protocol)


def by_pixels(held_out: Batch) -> DiscriminatorFunction:
    """Return the judge that sees layout and tone, of as many samples as held-out images; points exactly."""
    extractor = pixels(held_out.images.device, exact=held_out.images.shape[-1] == 1)
    pieces = [partial(torch.clone, chunk) for chunk in torch.split(held_out.images, CHUNK)]
    return DiscriminatorFunction.of(extractor, feature_statistics(extractor, pieces), len(held_out))


def _pieces(model: Samples, held_out: Batch, count: int, seed: int) -> Sequence[Callable[[], Tensor]]:
    """Return what makes the batches of samples, of the held-out images' classes where the model takes labels."""
    told = held_out.labels if isinstance(model, nn.Module) and takes_labels(model) else None

    def piece(rows: Tensor) -> Tensor:
        noise = generator(seed, "evaluation samples", int(rows[0]))
        return model.sample(len(rows), noise) if told is None else _of_classes(model, noise, told, rows)

    return [partial(piece, rows) for rows in torch.split(torch.arange(count), CHUNK)]


def _of_classes(model: Any, noise: torch.Generator, labels: Tensor, rows: Tensor) -> Tensor:  # noqa: ANN401
    images: Tensor = model.sample(len(rows), noise, labels[rows % len(labels)])
    return images
