"""Checks that a source made by hand keeps what training relies on."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.errors import DataError, GenlabError
from genlab.core.modality import Classes, DataSpec, Modality
from genlab.data.dataset import Source, Split

_READ = 4  # examples that are read, twice
_PARTS = ("name", "fingerprint", "spec", "values", "labels", "batch", "__len__")


def checked(source: Source) -> Source:
    """Return a source whose splits are what they claim to be, as far as a few examples show.

    Raises:
        DataError: a split or a field that is not; the message names both.
    """
    sides = {"train": source.train, "held_out": source.held_out}
    for side, part in sides.items():
        _check(f"{source.name}: {side}", part)
    if source.train.spec != replace(source.held_out.spec, aligned=source.train.spec.aligned):
        raise DataError(
            f"{source.name}: held_out.spec is {source.held_out.spec}, but train.spec is {source.train.spec}: both "
            "splits need the same target, conditions and classes."
        )
    return source


def _check(where: str, part: Split) -> None:
    if missing := [name for name in _PARTS if not hasattr(part, name)]:
        found = type(part).__name__
        raise DataError(f"{where} is a {found} without {missing[0]}; a split has {', '.join(_PARTS)}.")
    if not len(part):
        raise DataError(f"{where} is empty.")
    if not isinstance(part.spec, DataSpec):
        raise DataError(f"{where}.spec is a {type(part.spec).__name__}, not a DataSpec.")
    if not (isinstance(part.fingerprint, str) and part.fingerprint):
        raise DataError(f"{where}.fingerprint is not a text: it has to change with the data.")
    if len(part.values) != len(part):
        raise DataError(f"{where}.values holds {len(part.values)} examples, but the split {len(part)}.")
    index = np.unique(np.linspace(0, len(part) - 1, _READ).astype(np.int64))
    _check_labels(where, part)
    one, two = (_read(where, part, index) for _ in range(2))
    _check_example(where, "x", one.x, part.spec.target, len(index))
    if one.index.tolist() != index.tolist():
        raise DataError(f"{where}.batch(…).index is not the index that was asked for.")
    if one.condition.keys() != part.spec.conditions.keys():
        raise DataError(
            f"{where}.batch(…).condition has {_names(one.condition)}, but the spec {_names(part.spec.conditions)}."
        )
    for name, modality in part.spec.conditions.items():
        _check_example(where, f'condition["{name}"]', one.condition[name], modality, len(index))
    values = {"x": (one.x, two.x), **{name: (one.condition[name], two.condition[name]) for name in one.condition}}
    for name, (first, second) in values.items():
        if not torch.equal(first, second):
            raise DataError(
                f"{where}.batch(…): {name} is not the same when the same index is read again. Randomness has to "
                "depend on the index and the epoch only."
            )
    if part.labels is not None and one.condition["label"].tolist() != part.labels[index].tolist():
        raise DataError(f"{where}.labels differ from the labels of the batch.")


def _read(where: str, part: Split, index: Any) -> Batch:  # noqa: ANN401
    try:
        batch = part.batch(index)
    except GenlabError:
        raise
    except Exception as error:  # it is the user's own code
        raise DataError(f"{where}.batch(…) cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(batch, Batch):
        raise DataError(f"{where}.batch(…) is a {type(batch).__name__}, not a genlab Batch.")
    return batch


def _check_labels(where: str, part: Split) -> None:
    if (part.labels is not None) != ("label" in part.spec.conditions):
        raise DataError(f'{where}: labels and the condition "label" of the spec belong together.')
    if part.labels is None:
        return
    if not (isinstance(part.labels, np.ndarray) and part.labels.dtype == np.int64):
        raise DataError(f"{where}.labels is not an array of int64.")
    if part.labels.shape != (len(part),):
        raise DataError(f"{where}.labels has shape {part.labels.shape}, for {len(part)} examples.")
    low, high = int(part.labels.min()), int(part.labels.max())
    if low < 0 or high >= part.spec.classes:
        raise DataError(f"{where}.labels has values from {low} to {high}, for {part.spec.classes} classes.")


def _check_example(where: str, name: str, x: Tensor, modality: Modality, count: int) -> None:
    where = f"{where}.batch(…).{name}"
    shape = (count, *modality.shape)
    dtype = torch.int64 if isinstance(modality, Classes) else torch.float32
    if not isinstance(x, Tensor) or (tuple(x.shape), x.dtype) != (shape, dtype):
        found = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise DataError(f"{where} is {found}; the spec says {dtype} {shape}.")
    if not x.isfinite().all():
        raise DataError(f"{where} has values that are NaN or infinite.")
    if isinstance(modality, Classes):
        limit = (0, len(modality) - 1)
    elif modality.bounded and name == "x":  # a source may reach further, such as a noisy picture
        limit = (-1, 1)
    else:
        return
    if x.min() < limit[0] or x.max() > limit[1]:
        raise DataError(
            f"{where} has values from {x.min().item():g} to {x.max().item():g}, outside {limit[0]} to {limit[1]}."
        )


def _names(conditions: Any) -> str:  # noqa: ANN401
    return ", ".join(conditions) or "none"
