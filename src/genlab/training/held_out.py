"""The held-out examples that a model is evaluated on during training, and the distance of samples to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from statistics import mean

import torch
from torch import Tensor

from genlab.core.batch import Batch, at_once
from genlab.core.condition import MASK, SOURCE
from genlab.core.random import generator
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.feature_statistics import FeatureStatistics, feature_statistics
from genlab.metrics.frechet import Gaussian, frechet_distance, gaussian
from genlab.metrics.holes import harmonic_fill, hole_psnr, mean_fill
from genlab.metrics.translation import untranslated


def silent(_: object) -> None:
    """Report nothing."""


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

    def __call__(self, pieces: Sequence[Callable[[], Tensor]], advance: Callable[[int], None] = silent) -> float:
        """Return the Fréchet distance of the samples that `pieces` make; `advance` gets numbers of measured ones.

        It is quick: with so few samples, the features are a smaller root of the covariance than a D × D matrix.
        """
        return frechet_distance(self.real, self.features(pieces, advance))

    def features(self, pieces: Sequence[Callable[[], Tensor]], advance: Callable[[int], None] = silent) -> Tensor:
        """Return the features of the images that `pieces` make."""

        def network(images: Tensor) -> ExtractorOutput:
            output = self.extractor.network(images)
            advance(len(images))
            return output

        return feature_statistics(replace(self.extractor, network=network), pieces).features


@dataclass(frozen=True)
class HeldOut:
    """The held-out examples that a model is evaluated on during training.

    Args:
        batch: the examples and their conditions, on the model's device.
        seed: of the noise, which is the same every time.
        given: the distance of samples; by default in the pixels of the examples.
        status: is called with what is being measured.
        aligned: whether an example is what its source should become.
    """

    batch: Batch
    seed: int
    given: SampleDistance | None = None
    status: Callable[[str], None] = silent
    aligned: bool = True
    _floors: dict[int, float] = field(default_factory=dict, init=False)

    @property
    def chunks(self) -> Sequence[Batch]:
        """The examples in chunks."""
        each = at_once(self.batch.x.shape[1:])
        return [self.batch[start : start + each] for start in range(0, len(self.batch), each)]

    def noise(self) -> torch.Generator:
        """Return a new generator of an evaluation's noise."""
        return generator(self.seed, "evaluation")

    @cached_property
    def distance(self) -> SampleDistance:
        """The distance of samples."""
        return self.given or by_pixels(self.batch)

    def distance_of(self, features: Tensor, *, by_label: bool = False) -> float:
        """Return the Fréchet distance of features of samples with the conditions of the first examples.

        `by_label` takes the mean over the classes of the distances to the examples of that class.
        """
        if not by_label:
            return frechet_distance(self.distance.real, features)
        labels = self.batch.condition["label"][: len(features)].cpu()
        of = {label: features[labels == label] for label in repeated(labels)}
        return mean(frechet_distance(self._classes[label], rows) for label, rows in of.items())

    def floor(self, count: int, *, by_label: bool) -> float:
        """Return `distance_of` the first `count` sources as they are, computed once."""
        if count not in self._floors:
            source, shape = self.batch.condition[SOURCE][:count], self.batch.x.shape[1:]
            pieces = [partial(untranslated, part, shape) for part in torch.split(source, at_once(shape))]
            self._floors[count] = self.distance_of(self.distance.features(pieces), by_label=by_label)
        return self._floors[count]

    @cached_property
    def hole_floors(self) -> Mapping[str, float]:
        """The mean PSNR in the holes of the examples of fills without a model, in dB, by the names of signals."""
        found: dict[str, list[Tensor]] = {"harmonic_psnr": [], "mean_psnr": []}
        for chunk in self.chunks:
            source, hole = chunk.condition[SOURCE], chunk.condition[MASK] > 0
            for name, fill in (("harmonic_psnr", harmonic_fill), ("mean_psnr", mean_fill)):
                found[name].append(hole_psnr(fill(source, hole), chunk.x, hole))
        return {name: torch.cat(rows).mean().item() for name, rows in found.items()}

    @cached_property
    def _classes(self) -> dict[int, Gaussian]:
        """The Gaussian of the features of each class that has two examples or more."""
        pieces = [partial(torch.clone, part.x) for part in self.chunks]
        features, labels = self.distance.features(pieces), self.batch.condition["label"].cpu()
        return {label: gaussian(features[labels == label], "real") for label in repeated(labels)}


def repeated(labels: Tensor) -> list[int]:
    """Return the classes that occur twice or more in labels (N,)."""
    return [label for label, count in enumerate(labels.bincount().tolist()) if count > 1]


def by_pixels(held_out: Batch) -> SampleDistance:
    """Return the distance in pixels, which show layout and tone, for as many samples as held-out images."""
    extractor = pixels(held_out.x.device, exact=held_out.x.ndim < 4)
    pieces = [partial(torch.clone, chunk) for chunk in torch.split(held_out.x, at_once(held_out.x.shape[1:]))]
    return SampleDistance.of(extractor, feature_statistics(extractor, pieces), len(held_out))
