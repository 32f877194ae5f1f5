"""Statistics of an extractor's features over a set of images: moments of all, and the features of some."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from genlab.core.distributed import all_gather_object, current_shard
from genlab.core.errors import GenlabError
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.frechet import Moments, moments


class NotFiniteError(GenlabError):
    """Features of images are NaN or infinite."""


KEPT = 10_000  # images whose features are kept, for measures that use neighbours or subsets


@dataclass(frozen=True)
class FeatureStatistics:
    """The moments of all images, and the features of the first `KEPT`."""

    whole: Moments
    features: Tensor  # (min(count, KEPT), D), float32
    probabilities: Tensor | None  # (min(count, KEPT), K)

    @property
    def count(self) -> int:
        """Number of images."""
        return self.whole.count


def feature_statistics(
    extractor: Extractor, pieces: Sequence[Callable[[], Tensor]], keep: int = KEPT
) -> FeatureStatistics:
    """Return the statistics of the batches of images (B, C, H, W) in [-1, 1] that `pieces` make.

    Memory does not grow with their number once `keep` features are kept. With n processes, each makes every n-th
    batch, and all return the same statistics.

    Raises:
        NotFiniteError: features are NaN or infinite.
        GenlabError: no images, or images of different shapes.
    """
    shard, whole, shape, kept, finite = current_shard(), None, None, 0, True
    seen: dict[int, ExtractorOutput] = {}
    for place in range(shard.rank, len(pieces), shard.size):
        images = pieces[place]()
        if shape not in (None, images.shape[1:]):
            raise GenlabError(f"images of shape {tuple(images.shape[1:])} among images of {tuple(shape or ())}")
        shape = images.shape[1:]
        output = extractor(images)
        finite &= bool(torch.isfinite(output.features).all())
        new = moments(output.features)
        whole = new if whole is None else whole + new
        if kept < keep:
            seen[place] = output
            kept += len(images)
    if not all(all_gather_object(finite)):  # every process raises it, so that none waits for another
        raise NotFiniteError(f"{extractor.name} returned NaN or infinite features: the images are not finite")
    return _joined(all_gather_object((whole, seen)), keep)


def _joined(
    of_processes: Sequence[tuple[Moments | None, Mapping[int, ExtractorOutput]]], keep: int
) -> FeatureStatistics:
    """Return the statistics of the images of all processes, in the order of the batches."""
    sums = [whole for whole, _ in of_processes if whole is not None]
    if not sums:
        raise GenlabError("there are no images to measure")
    by_place = {place: output for _, seen in of_processes for place, output in seen.items()}
    ordered = [by_place[place] for place in sorted(by_place)]
    probabilities = [p.probabilities for p in ordered if p.probabilities is not None]
    return FeatureStatistics(
        reduce(add, sums),
        torch.cat([p.features for p in ordered])[:keep],
        torch.cat(probabilities)[:keep] if probabilities else None,
    )
