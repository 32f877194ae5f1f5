"""Probes: how well simple classifiers tell the classes of examples from frozen vectors, with few labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from genlab.applications.spaces import Numbers
from genlab.core.random import derive_seed

Labels: TypeAlias = npt.NDArray[np.int64]
ProbeName = Literal["linear", "k-NN"]

EACH = (1, 10, 100)  # labelled examples of each class
DRAWS = 5  # of the labelled examples
NEIGHBOURS = 5
DECAYS = np.logspace(-3, 3, 13)  # weights of the penalty of the linear probe, from which it chooses


@dataclass(frozen=True)
class Accuracy:
    """The share of test examples whose class a probe tells."""

    space: str
    probe: ProbeName
    labels: int  # labelled examples
    mean: float
    deviation: float | None  # between draws of the labelled examples; None of one draw


def probe_all(
    train: Mapping[str, Numbers], train_labels: Labels, test: Mapping[str, Numbers], test_labels: Labels, seed: int
) -> list[Accuracy]:
    """Return the accuracy of each probe in each space, with some labels of each class and with all.

    Args:
        train: vectors (N, D) of the examples to learn from, by the title of their space.
        train_labels: (N,).
        test: vectors (M, D) in the same spaces.
        test_labels: (M,).
        seed: of the draws of labelled examples.
    """
    everything = np.arange(len(train_labels))
    drawn = [[_drawn(train_labels, each, seed, draw) for draw in range(DRAWS)] for each in EACH]
    sets = [rows for rows in drawn if len(rows[0]) < len(everything)]
    found = []
    for rows in [*sets, [everything]]:
        for space in train:
            for name in _PROBES:
                scores = [
                    accuracy(name, train[space][few], train_labels[few], test[space], test_labels) for few in rows
                ]
                deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
                found.append(Accuracy(space, name, len(rows[0]), float(np.mean(scores)), deviation))
    return found


def accuracy(name: ProbeName, x: Numbers, labels: Labels, test: Numbers, truth: Labels) -> float:
    """Return the accuracy on `test` of a probe that learned from `x`.

    The vectors are centred and divided by one number, so that their mean squared norm is 1 in every space: the
    probe keeps the geometry of the space.
    """
    centre = x.mean(0)
    scale = float(np.sqrt(np.square(x - centre).sum(1).mean())) or 1.0
    fitted = _PROBES[name](labels).fit((x - centre) / scale, labels)
    return float((fitted.predict((test - centre) / scale) == truth).mean())


def _linear(labels: Labels) -> Any:  # noqa: ANN401
    """Return least squares on the classes as ±1 with an L2 penalty, chosen by leave-one-out cross-validation."""
    from sklearn.linear_model import RidgeClassifierCV

    return RidgeClassifierCV(DECAYS)


def _neighbours(labels: Labels) -> Any:  # noqa: ANN401
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(min(NEIGHBOURS, int(np.unique(labels, return_counts=True)[1].min())))


_PROBES: Mapping[ProbeName, Any] = {"linear": _linear, "k-NN": _neighbours}


def _drawn(labels: Labels, each: int, seed: int, draw: int) -> npt.NDArray[np.int64]:
    """Return the rows of `each` examples of every class, or of all of a class that has fewer."""
    order = np.random.default_rng(derive_seed(seed, "labelled examples", draw)).permutation(len(labels))
    return np.concatenate([order[labels[order] == label][:each] for label in np.unique(labels)])


def pca(x: Numbers, size: int) -> Any:  # noqa: ANN401
    """Return the principal components of vectors (N, D), at most `size`, fitted."""
    from sklearn.decomposition import PCA

    return PCA(min(size, *x.shape), random_state=0).fit(x)


def numbered(labels: Sequence[str | None], names: Sequence[str]) -> Labels:
    """Return class names as numbers."""
    places = {name: at for at, name in enumerate(names)}
    return np.array([places[str(label)] for label in labels], np.int64)
