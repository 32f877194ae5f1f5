"""Recognises what kind of data an object is."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from genlab.core.errors import DataError, UsageError
from genlab.data.items import is_array
from genlab.data.keys import find_keys

ARRAY, FILES, ITEMS = "an array", "a list of files", "a data set"
CHOICES = (
    "Give an array or a tensor of images (N, C, H, W), (N, H, W, C) or (N, H, W), or of points (N, D); (images, "
    'labels); a dictionary with "images" or with "train"; a data set of torch or Hugging Face; a list of image '
    "files or of pairs (image, label); a data frame; a path or the name of a source; or a genlab Source."
)
_HELD_OUT = ("test", "validation", "valid", "val", "held_out")

Pair = tuple[Any, object]  # data and their labels, or None


def kind_of(data: Any) -> str:  # noqa: ANN401 anything
    """Return `ARRAY`, `FILES` or `ITEMS`.

    Raises:
        DataError: an empty list, or data that have to be given otherwise.
        UsageError: anything else.
    """
    from torch.utils.data import DataLoader, IterableDataset

    found = type(data).__name__
    if is_array(data):
        return ARRAY
    if isinstance(data, DataLoader):
        raise DataError(
            "a DataLoader shuffles and groups its examples, which genlab does itself: give loader.dataset."
        )
    if isinstance(data, list | tuple):
        return _kind_of_list(data)
    readable = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if isinstance(data, IterableDataset) or (hasattr(data, "__iter__") and not readable):
        raise DataError(
            f"{found} is a stream, whose items have no positions. Give a data set with a length, or its first "
            "items: list(itertools.islice(data, 10_000))."
        )
    if not readable or isinstance(data, str | bytes | bytearray | Mapping):
        raise UsageError(f"genlab cannot train on {found}. {CHOICES}")
    return ITEMS


def _kind_of_list(data: Sequence[object]) -> str:
    if not data:
        raise DataError(f"the {type(data).__name__} is empty. {CHOICES}")
    paths = [isinstance(item, str | os.PathLike) for item in data]
    if any(paths) and not all(paths):
        at = paths.index(not paths[0])
        kinds = [type(data[place]).__name__ for place in (0, at)]
        raise DataError(f"a list of files holds paths only, but item 0 is {kinds[0]} and item {at} is {kinds[1]}.")
    return FILES if all(paths) else ITEMS


def pair(data: object, labels: object) -> Pair:
    """Return data with their labels: the data are (examples, labels), or labels are given beside them.

    Raises:
        UsageError: labels in both places.
    """
    if not _is_two(data):
        return data, labels
    if data[1] is None and is_array(data[0]):
        return data[0], labels
    if is_array(data[0]) and isinstance(data[1], str | bytes | bytearray):
        raise DataError(f"(images, labels) needs a label for each image, not one {type(data[1]).__name__}.")
    if not all(map(_is_column, data)):
        return data, labels
    if labels is not None:
        raise UsageError("labels are given twice: as labels=… and as (images, labels).")
    return data[0], data[1]


def _is_column(data: object) -> bool:
    """Return whether `data` may be the images, files or labels of a pair: an array, or a list of plain values."""
    if isinstance(data, list | tuple):
        return bool(data) and isinstance(data[0], str | bytes | os.PathLike | int | float | np.generic)
    return is_array(data) or (hasattr(data, "to_numpy") and not hasattr(data, "columns"))


def _is_two(data: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(data, list | tuple) and len(data) == 2


def in_two_parts(data: object) -> TypeGuard[Sequence[Any]]:
    """Return whether data are ((images, labels), (images, labels)), for training and held out."""
    return _is_two(data) and all(
        _is_two(part)
        and is_array(part[0])
        and (part[1] is None or (_is_column(part[1]) and len(part[0]) == len(part[1])))
        for part in data
    )


def opened(data: Mapping[Any, Any], labels: object, held_out: object) -> tuple[object, object, object]:
    """Return the data, the labels and the held-out part of a dictionary of arrays or of splits.

    Raises:
        DataError: other keys, or several held-out parts.
        UsageError: labels or a held-out part beside those in the dictionary.
    """
    names = {str(key): key for key in data}
    what = f"the {type(data).__name__}"
    if "train" in names:
        others = [key for key in names if key != "train"]
        if others and (held_out is not None or len(others) > 1 or others[0] not in _HELD_OUT):
            raise DataError(
                f"{what} has {', '.join(names)}. Choose what to train on and what to hold out: "
                f'genlab.as_source(data["train"], held_out=data["{others[0]}"]).'
            )
        return data[names["train"]], labels, data[names[others[0]]] if others else held_out
    if "images" not in names:
        raise DataError(f'{what} has neither "images" nor "train". It has: {", ".join(names) or "none"}.')
    keys, label_keys = find_keys(names, what)
    if extra := set(names) - {*keys, *label_keys}:
        raise DataError(f"{what} has {', '.join(sorted(extra))} too, which would not be used: leave them out.")
    if (label_keys and labels is not None) or (len(keys) == 2 and held_out is not None):
        raise UsageError(f"labels or held_out are given twice: as an option and in {what}.")
    parts: list[object] = [data[key] for key in keys]
    if label_keys:
        parts = [(part, data[key]) for part, key in zip(parts, label_keys, strict=True)]
    return parts[0], labels, parts[1] if len(parts) == 2 else held_out
