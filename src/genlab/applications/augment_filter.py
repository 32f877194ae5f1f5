"""Which generated pictures are kept: scores of candidates, and distances to training pictures.

References:
    Meehan, Chaudhuri and Dasgupta, 2020. A Non-Parametric Test to Detect Data-Copying in Generative Models.
    arXiv:2004.05675.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.capability import draws_classes, need
from genlab.core.batch import at_once
from genlab.core.contract import Discriminates
from genlab.core.device import device_of
from genlab.core.errors import GenlabError, UsageError
from genlab.core.text import printable
from genlab.core.warnings import LOG
from genlab.data.dataset import Source, Split
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.neighbours import COPY_QUANTILE, nearest, radii
from genlab.runs.classifier import classifier_of

FilterName = Literal["classifier", "discriminator", "none"]
KEEP = 0.5  # share of candidates that a filter keeps by default
ENOUGH = 100  # held-out pictures of a class for a quantile of 1 %
MOST = 50_000  # training pictures of a class that candidates are compared with


@dataclass(frozen=True)
class Filter:
    """Keeps the candidates with the highest scores."""

    score: Callable[[Tensor, int], Tensor]  # (B, C, H, W) and a label -> (B,)
    keep: float  # share, in (0, 1]


@dataclass(frozen=True)
class Neighbourhood:
    """The training pictures of a class."""

    extractor: Extractor
    features: Tensor  # (N, D)
    threshold: float  # distance to the nearest of them up to which a picture is a copy

    def distances(self, pictures: Tensor) -> Tensor:
        """Return the distance of each picture (B, C, H, W) to the nearest training picture of the class, (B,)."""
        return nearest(self.extractor(pictures).features, self.features)[0]


def filter_of(name: FilterName, keep: float | None, model: nn.Module, source: Source) -> Filter:
    """Return the filter of a name.

    Raises:
        UsageError: `keep` is no share, or is given without a filter.
        GenlabError: the model has no discriminator.
    """
    if keep is not None and not 0 < keep <= 1:
        raise UsageError(f"--keep must be a share above 0 and at most 1, such as 0.5, not {keep:g}.")
    if name == "none":
        if keep not in (None, 1):
            raise UsageError(f"--keep {keep:g} needs scores: give --filter classifier or discriminator.")
        return Filter(lambda pictures, _: torch.zeros(len(pictures)), 1.0)
    share = KEEP if keep is None else keep
    if name == "classifier":
        return Filter(_probability(classifier_of(source, device_of(model))), share)
    discriminates = need(model, Discriminates, "--filter discriminator", draws_classes)
    return Filter(_realism(discriminates, device_of(model)), share)


def _probability(extractor: Extractor) -> Callable[[Tensor, int], Tensor]:
    def score(pictures: Tensor, label: int) -> Tensor:
        probabilities = extractor(pictures).probabilities
        assert probabilities is not None
        return probabilities[:, label]

    return score


def _realism(model: Discriminates, device: torch.device) -> Callable[[Tensor, int], Tensor]:
    @torch.no_grad()
    def score(pictures: Tensor, label: int) -> Tensor:
        given = {"label": torch.full((len(pictures),), label, device=device)}
        scores = model.discriminate(pictures.to(device), given).scores
        if len(scores) != len(pictures):
            raise GenlabError("this discriminator sees several pictures together. Use --filter classifier.")
        return scores.flatten(1).mean(1).cpu() if scores.ndim > 1 else scores.cpu()

    return score


def neighbourhood(extractor: Extractor, source: Source, label: int) -> Neighbourhood:
    """Return the training pictures of a class, with the distance of the closest 1 % of held-out pictures to them.

    If few pictures of the class are held out, it is that of the training pictures to each other.
    """
    train, held_out = (_features(extractor, split, label) for split in (source.train, source.held_out))
    if len(held_out) >= ENOUGH:
        usual = nearest(held_out, train)[0]
    else:
        usual = radii(train, 1)[:, 0] if len(train) > 1 else torch.zeros(1)
    return Neighbourhood(extractor, train, float(usual.quantile(COPY_QUANTILE)))


def _features(extractor: Extractor, split: Split, label: int) -> Tensor:
    assert split.labels is not None
    rows = np.flatnonzero(split.labels == label)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
        name = printable(split.spec.class_names[label])
        LOG.info("copies of %s are searched in %s of its training pictures", name, f"{MOST:,}")
    each = at_once(split.spec.target.shape)
    parts = [extractor(split.batch(rows[at : at + each]).x).features for at in range(0, len(rows), each)]
    return torch.cat(parts) if parts else torch.zeros(0, 1)
