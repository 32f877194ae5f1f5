"""How close two sets of rows are: column by column, in pairs of columns, and to a classifier.

Rows are entries (N, D) of a `Table`, with the values that its columns can have (`Table.snap`).

References:
    Platzer and Reutterer, 2021. Holdout-Based Empirical Assessment of Mixed-Type Synthetic Data. Frontiers in
    Big Data 4. arXiv:2104.00635.
    Esteban, Hyland and Rätsch, 2017. Real-Valued (Medical) Time Series Generation with Recurrent Conditional
    GANs, section 4. arXiv:1706.02633.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.core.column import Column
from genlab.core.table import Table
from genlab.metrics.neighbours import nearest

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TREES = 50


def column_distances(table: Table, one: Tensor, two: Tensor) -> Mapping[str, float]:
    """Return for each column the distance of two sets of rows, from 0 to 1.

    For numbers it is the largest difference of the two distribution functions (Kolmogorov–Smirnov), among them
    that of missing values; for categories half the sum of the differences of their shares (total variation).
    """
    return {column.name: _distance(column, one[:, at], two[:, at]) for column, at in table.parts()}


def _distance(column: Column, one: Tensor, two: Tensor) -> float:
    from scipy.stats import ks_2samp

    shares = [np.bincount(kinds(column, part), minlength=column.width) / len(part) for part in (one, two)]
    varied = float(abs(shares[0] - shares[1]).sum()) / 2
    if column.choices:
        return varied
    numbers = [part[kinds(column, part) == 0, 0].double().numpy() for part in (one, two)]
    apart = ks_2samp(*numbers, method="asymp").statistic if all(map(len, numbers)) else 0.0
    return max(varied, float(apart))


def kinds(column: Column, entries: Tensor) -> Ints:
    """Return the category of each row, (N,); of numbers 1 for a missing one, else 0."""
    if column.choices:
        return entries.argmax(1).numpy()
    return (entries[:, -1] > 0).long().numpy() if column.missing else np.zeros(len(entries), np.int64)


def associations(table: Table, rows: Tensor) -> Floats:
    """Return the association of each two columns, (columns, columns).

    It is ‖UᵀV‖ / √min(k, l) for orthonormal bases U (N, k) and V (N, l) of the centred entries of two columns: the
    correlation r of numbers, Cramér's V of categories, and the correlation ratio η of a number and a category.
    """
    bases = [_basis(rows[:, at].double()) for _, at in table.parts()]
    between = torch.cat(bases, 1).T @ torch.cat(bases, 1)
    sizes, signed = [basis.shape[1] for basis in bases], [column.width == 1 for column in table.columns]
    found = np.zeros((len(sizes), len(sizes)))
    for i, of_one in enumerate(torch.split(between, sizes, 0)):
        for j, block in enumerate(torch.split(of_one, sizes, 1)):
            least = min(sizes[i], sizes[j])
            value = block.sum() if signed[i] and signed[j] else block.square().sum().sqrt()
            found[i, j] = float(value) / least**0.5 if least else 0.0
    return found


def _basis(entries: Tensor) -> Tensor:
    """Return an orthonormal basis of the centred entries (N, k) of a column; that of one entry has its sign."""
    centred = entries - entries.mean(0)
    if entries.shape[1] == 1:
        norm = centred.norm()
        return centred / norm if norm > 0 else centred[:, :0]
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    basis: Tensor = left[:, values > 1e-9 * max(float(values[0]), 1e-9)]
    return basis


def pair_distance(table: Table, one: Tensor, two: Tensor) -> float:
    """Return the mean absolute difference of the associations of all pairs of columns; NaN for one column."""
    upper = np.triu_indices(len(table.columns), 1)
    apart = abs(associations(table, one) - associations(table, two))[upper]
    return float(apart.mean()) if len(apart) else float("nan")


def closer_to_training(train: Tensor, held_out: Tensor, fake: Tensor) -> float:
    """Return the share of samples that are closer to a training row than to any held-out row.

    `train` and `held_out` have as many rows, so that it is ½ for samples that know neither; equal distances count
    half.
    """
    to_train, to_held_out = nearest(fake, train)[0], nearest(fake, held_out)[0]
    return float(((to_train < to_held_out).double() + 0.5 * (to_train == to_held_out)).mean())


class Predicted(NamedTuple):
    """What a classifier predicts: a class of each row, from the other entries."""

    name: str
    classes: Ints  # (N,)
    entries: Tensor  # (N, other entries)


def predicted(table: Table, rows: Tensor, most: int) -> Iterator[Predicted]:
    """Yield what can be predicted of rows: each column of categories, and if there are none, of numbers.

    A number is predicted as above its column's mean or not. At most the first `most` such columns.
    """
    parts = list(table.parts())
    chosen = [part for part in parts if part[0].choices] or parts
    for column, at in chosen[:most]:
        others = torch.cat([rows[:, : at.start], rows[:, at.stop :]], 1)
        classes = kinds(column, rows[:, at]) if column.choices else (rows[:, at.start] > 0).long().numpy()
        yield Predicted(column.name, classes, others)


def accuracy(train: Sequence[Any], test: Sequence[Any], seed: int) -> float:
    """Return the mean accuracy over the classes of `test` of a random forest that is trained on `train`.

    Both are pairs of entries (N, D) and classes (N,).
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import recall_score

    forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=seed).fit(*train)
    entries, classes = test
    return float(
        recall_score(classes, forest.predict(entries), average="macro", zero_division=0, labels=np.unique(classes))
    )
