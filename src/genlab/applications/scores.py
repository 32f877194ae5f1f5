"""The anomaly scores: how far an example is from what a model expects, or from normal examples.

References:
    An and Cho, 2015. Variational Autoencoder based Anomaly Detection using Reconstruction Probability.
    Ramaswamy, Rastogi and Shim, 2000. Efficient Algorithms for Mining Outliers from Large Data Sets. SIGMOD.
    Zong et al., 2018. Deep Autoencoding Gaussian Mixture Model for Unsupervised Anomaly Detection. ICLR: the
    reconstruction error together with the latents.
    Liu, Ting and Zhou, 2008. Isolation Forest. ICDM.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from genlab.applications.capability import need, unaided
from genlab.core.condition import required_conditions
from genlab.core.contract import BoundsLikelihood, Discriminates, Encodes, Reconstructs, SplitsBound
from genlab.core.device import device_of
from genlab.core.errors import GenlabError, lookup
from genlab.core.modality import Modality
from genlab.core.random import RowNoise, drawn_by_row
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.perceptual import perceptual
from genlab.metrics.similarity import mse

Numbers: TypeAlias = npt.NDArray[np.float32]
Distance: TypeAlias = Callable[[Numbers], Numbers]  # of examples (B, D) to normal ones, (B,)

NEIGHBOURS = 5
EXPLAINED = 0.8  # of the variance, by the components of PCA


@dataclass(frozen=True)
class Tools:
    """What scores are computed with."""

    model: Any  # with the capability that a score requires
    extractor: Extractor


@dataclass(frozen=True)
class Score:
    """A row of `SCORES`: an example becomes a vector, whose distance to those of normal examples is the score."""

    meaning: str
    embed: Callable[[Tools, Tensor], Tensor]  # of examples (B, *shape), (B, D)
    fit: Callable[[Numbers], Distance]  # to normal examples (N, D)
    requires: tuple[type, ...] = ()  # capabilities
    default: bool = True


def _reconstruction(tools: Tools, x: Tensor) -> Tensor:
    return mse(x, tools.model.reconstruct(x))[:, None]


def _likelihood(tools: Tools, x: Tensor) -> Tensor:
    """Return the negative bound, with the same noise for each example, so that ranks depend less on chance."""
    with drawn_by_row():
        return -tools.model.evidence_bound(x, generator=_same_noise(x))[:, None]  # type: ignore[no-any-return]


def _perceptual(tools: Tools, x: Tensor) -> Tensor:
    return perceptual(tools.extractor, x, tools.model.reconstruct(x))[:, None]


def _rate(tools: Tools, x: Tensor) -> Tensor:
    with drawn_by_row():
        return tools.model.distortion_and_rate(x, generator=_same_noise(x))[1][:, None]  # type: ignore[no-any-return]


def _same_noise(x: Tensor) -> RowNoise:
    return RowNoise(0, "anomaly scores", [0] * len(x))


def _latent(tools: Tools, x: Tensor) -> Tensor:
    return tools.model.encode(x).flatten(1)  # type: ignore[no-any-return]


def _discriminator(tools: Tools, x: Tensor) -> Tensor:
    return _judged(tools.model, x)[:, None]


def _judged(model: Any, x: Tensor) -> Tensor:  # noqa: ANN401 (discriminates)
    """Return minus the discriminator's output; of a conditional model under the class that suits best."""
    label = getattr(model, "conditions", {}).get("label")
    classes = range(len(label) if label else 1)
    given = [{"label": torch.full((len(x),), at, device=x.device)} if label else {} for at in classes]
    outputs = [model.discriminate(x, condition).scores for condition in given]
    return -torch.stack([scores.view(len(scores), -1).mean(1) for scores in outputs]).amax(0)


@torch.no_grad()
def _one_by_one(model: nn.Module, modality: Modality) -> bool:
    """Whether a discriminator judges each example by itself: not in packs, and not beside others of the batch."""
    if any(getattr(module, "compares_examples", False) for module in model.modules()):
        return False  # even if it is untrained, and the others count next to nothing
    x = torch.linspace(-1, 1, 2 * math.prod(modality.shape), device=device_of(model)).view(2, *modality.shape)
    with suppress(ValueError):  # of packs into which two examples cannot be divided
        both = _judged(model, x)
        return len(both) == len(x) and torch.allclose(both[:1], _judged(model, x[:1]), rtol=1e-2, atol=1e-3)
    return False


def _judges(model: nn.Module) -> bool:
    return unaided(model) and _one_by_one(model, model.modality)  # type: ignore[arg-type]


def _features(tools: Tools, x: Tensor) -> Tensor:
    return tools.extractor(x).features


def _entries(_: Tools, x: Tensor) -> Tensor:
    return x.flatten(1)


def value(_: Numbers) -> Distance:
    """Return the only number of each vector: it needs no normal examples."""
    return lambda x: x[:, 0]


def neighbours(normal: Numbers) -> Distance:
    """Return the distance to the 5th nearest normal example, or to the farthest if there are fewer."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(normal)), algorithm="brute").fit(normal)
    return lambda x: np.asarray(index.kneighbors(x)[0][:, -1], np.float32)


def components(normal: Numbers) -> Distance:
    """Return the mean squared error after projection onto the components that explain 80 % of the variance."""
    from sklearn.decomposition import PCA

    pca = PCA(EXPLAINED, svd_solver="full").fit(normal)
    return lambda x: np.square(x - pca.inverse_transform(pca.transform(x))).mean(1).astype(np.float32)


def isolation(normal: Numbers) -> Distance:
    """Return the score of an isolation forest of 100 trees: the shorter the paths, the higher."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=0).fit(normal)
    return lambda x: -forest.score_samples(x).astype(np.float32)


SCORES: Mapping[str, Score] = {
    "reconstruction": Score("mean squared error of the reconstruction", _reconstruction, value, (Reconstructs,)),
    "likelihood": Score("minus the bound on the log-likelihood, in nats", _likelihood, value, (BoundsLikelihood,)),
    "latent": Score("distance to the 5th nearest normal example in latents", _latent, neighbours, (Encodes,)),
    "rate": Score("KL divergence of the posterior from the prior, in nats", _rate, value, (SplitsBound,)),
    "discriminator": Score("minus the output of the discriminator", _discriminator, value, (Discriminates,)),
    "perceptual": Score(
        "distance of the reconstruction in the maps of the extractor",
        _perceptual,
        value,
        (Reconstructs,),
        default=False,
    ),
    "features": Score("distance to the 5th nearest normal example in features", _features, neighbours),
    "pca": Score("squared error of a projection on principal components", _entries, components, default=False),
    "isolation-forest": Score("isolation forest on the numbers", _entries, isolation, default=False),
}
COMBINED = "combined"
PARTS = ("reconstruction", "latent", "features")  # of the combined score
MEANINGS: Mapping[str, str] = {
    COMBINED: f"{', '.join(PARTS)}: the sum of their standardised logarithms",
    **{name: score.meaning + ("" if score.requires else ", a baseline") for name, score in SCORES.items()},
}
BASELINES = tuple(name for name, score in SCORES.items() if not score.requires)


def chosen(model: nn.Module, modality: Modality, by: Sequence[str] | None) -> list[str]:
    """Return the names of the scores: those in `by`, else all that the model can; and always the baselines.

    The baseline of pictures is `features`; tables and points have `isolation-forest` besides.

    Raises:
        UsageError: an unknown score.
        GenlabError: the model lacks the capability that one needs.
    """
    sourced = required_conditions(getattr(model, "conditions", {}))
    if sourced and by is None:
        by = []
    names = list(by if by is not None else _able(model, modality))
    for name in names:
        lookup(MEANINGS, name, "score")
        requires = _requires(name)
        for capability in requires:
            need(model, capability, f"--by {name}", _judges if name == "discriminator" else unaided)
        if requires and sourced:
            raise GenlabError(
                f"--by {name} needs a model of single examples; this one also needs the condition "
                f'"{sourced[0]}". Choose --by {" or ".join(BASELINES)}.'
            )
        if name == "discriminator" and not _one_by_one(model, modality):
            raise GenlabError(
                "--by discriminator needs one that judges examples one by one; this model compares several. "
                "Choose --by features."
            )
    beside = ["features"] if modality.spatial else ["features", "isolation-forest"]
    return list(dict.fromkeys([*names, *beside]))


def _able(model: nn.Module, modality: Modality) -> Iterator[str]:
    """Yield the scores that a model can give by default."""
    for name in MEANINGS:
        able = all(isinstance(model, capability) for capability in _requires(name))
        default = name == COMBINED or SCORES[name].default
        if able and default and (name != "discriminator" or _one_by_one(model, modality)):
            yield name


def _requires(name: str) -> Sequence[type]:
    return [capability for part in singles([name]) for capability in SCORES[part].requires]


def singles(names: Sequence[str]) -> list[str]:
    """Return the scores of which others are made, with the parts of a combined one."""
    parts = (PARTS if name == COMBINED else (name,) for name in names)
    return list(dict.fromkeys(chain.from_iterable(parts)))


@torch.no_grad()
def embedded(names: Sequence[str], tools: Tools, x: Tensor) -> dict[str, Numbers]:
    """Return the vectors (B, D) of examples (B, *shape) for each score that is no combined one."""
    x = x.to(device_of(tools.model))
    return {name: np.asarray(SCORES[name].embed(tools, x).float().cpu(), np.float32) for name in singles(names)}
