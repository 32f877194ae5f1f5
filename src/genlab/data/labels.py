"""Turns labels, whole numbers or text, into classes and their positions."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from genlab.core.errors import DataError, UsageError
from genlab.core.text import escaped
from genlab.data.dataset import Array, IntArray

_KINDS = {"i": "whole numbers", "u": "whole numbers", "U": "text"}


def label_array(labels: object, what: str) -> Array:
    """Return labels that were given as an array, a tensor or a sequence as an array.

    Raises:
        DataError: rows of unequal length.
    """
    if isinstance(labels, Tensor):
        return _whole(labels.detach().cpu().numpy())
    try:
        found: Array = np.asarray(labels.to_numpy() if hasattr(labels, "to_numpy") else labels)
    except ValueError as error:
        raise DataError(f"{what} does not hold one label for each example: {error}") from error
    if found.dtype == object and all(isinstance(label, str) for label in found.flat):
        return found.astype(str)
    return _whole(found)


def _whole(labels: Array) -> Array:
    """Return labels (N,) of a column (N, 1), and floats that are whole numbers as integers."""
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        return labels.astype(np.int64)
    return labels


def encode(
    given: Sequence[Array], counts: Sequence[int], whats: Sequence[str], names: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[IntArray]]:
    """Return the names of the classes, and for each part the class of each example.

    Args:
        given: the labels of each part, (N,) whole numbers or text.
        counts: N of each part.
        whats: what messages call the labels of each part.
        names: of the labels 0 to K − 1; None takes the distinct labels, sorted, as text.

    Raises:
        DataError: labels of another number or type, or outside 0 to K − 1.
        UsageError: names for labels that are text, or a name that occurs twice.
    """
    for what, labels, count in zip(whats, given, counts, strict=True):
        if labels.shape != (count,) or labels.dtype.kind not in _KINDS:
            raise DataError(
                f"{what} is {labels.dtype} {labels.shape}; give {count} integers or strings{_advice(labels)}."
            )
    kinds = [_KINDS[labels.dtype.kind] for labels in given]
    if len(set(kinds)) > 1:
        raise DataError(f"{whats[0]} holds {kinds[0]}, but {whats[1]} {kinds[1]}: give both in one type.")
    if names is None:
        distinct = np.unique(np.concatenate(given))
        return tuple(map(_class, distinct)), [np.searchsorted(distinct, its).astype(np.int64) for its in given]
    if kinds[0] == "text":
        raise UsageError(f"{whats[0]} holds text, which names the classes already: leave classes out.")
    if isinstance(names, str) or len(set(names)) < len(names):
        raise UsageError("classes takes a list of names, each of which occurs once.")
    for what, labels in zip(whats, given, strict=True):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(names):
            raise DataError(
                f"{what} goes from {low} to {high}, but there are {len(names)} names of classes, for labels 0 to "
                f"{len(names) - 1}. Give other names with classes=[…]."
            )
    return tuple(map(_class, names)), [labels.astype(np.int64) for labels in given]


def _class(label: object) -> str:
    """Return the name of a class, in one line."""
    return escaped(str(label)).replace("\t", "\\t").replace("\n", "\\n")


def _advice(labels: Array) -> str:
    """Return how labels of another form become integers or strings."""
    kind = labels.dtype.kind
    if kind == "S" or (kind == "O" and any(isinstance(label, bytes) for label in labels.flat)):
        return ", not bytes: [label.decode() for label in labels]"
    if labels.ndim == 2 and kind in "iufb" and np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all():
        return ": these look one-hot, so give labels.argmax(1)"
    return ""
