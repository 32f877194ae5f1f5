"""Reads the items of a data set, such as torch's or a Hugging Face one, into arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genlab.core.errors import DataError, UsageError
from genlab.data import fit
from genlab.data.arrays import Asked, Layout, as_array
from genlab.data.columns import find_columns
from genlab.data.dataset import Array
from genlab.data.decode import to_bytes
from genlab.data.progress import bar
from genlab.data.ranges import Part
from genlab.data.rows import Rows

_TWICE = 16  # items that are read twice, to see whether they stay the same


@dataclass(frozen=True)
class Items:
    """A data set whose items are read by position: a picture or a point, and perhaps a label."""

    name: str
    what: str  # "data" or "held_out", in messages
    read: Callable[[int], object]
    count: int
    classes: Sequence[str] | None  # names of the labels 0 to K − 1, if it knows them
    columns: tuple[str, str | None] | None  # of the example and of its label, if items are dictionaries
    notes: Mapping[str, str]

    def __getitem__(self, at: int) -> tuple[Any, int | str | None]:
        """Return an example, which is a PIL image or an array, and its label.

        Raises:
            DataError: an item that cannot be read, or is something else.
        """
        read = self._item(at)
        item, label = read, None
        if self.columns and isinstance(read, Mapping):
            example, column = self.columns
            item, label = read.get(example), None if column is None else read.get(column)
            if label is None and column is not None:
                raise DataError(f"item {at} of {self.name} has no {column}.")
        elif isinstance(read, tuple | list) and read:
            item, label = read[0], read[1] if len(read) > 1 else None
        if not is_example(item):
            raise DataError(
                f"item {at} of {self.name} holds {_kind(item)}: give a PIL image, an array (H, W, C) or a tensor "
                "(C, H, W), alone or first in a tuple with its label."
            )
        return item, None if label is None else self._label(label, at)

    def _item(self, at: int) -> object:
        try:
            return self.read(at)
        except Exception as error:  # it is the user's own code
            raise DataError(f"item {at} of {self.name} cannot be read: {type(error).__name__}: {error}") from error

    def _label(self, label: object, at: int) -> int | str:
        if isinstance(label, str):
            return str(label)
        value = as_array(label) if is_array(label) else label
        if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "iub":
            return int(value.item())
        if isinstance(value, int | np.integer | np.bool_) or (
            isinstance(value, float | np.floating) and value.is_integer()
        ):
            return int(value)
        raise DataError(
            f"the label of item {at} of {self.name} is {_kind(label)}: labels are whole numbers or text. Give a "
            "data set of the examples alone, or of pairs (example, label)."
        )


def open_items(data: Any, what: str) -> Items:  # noqa: ANN401 any class with __len__ and __getitem__
    """Return the items of a data set with `__len__` and `__getitem__`.

    Raises:
        DataError: it is empty, or it is not clear which columns hold images and labels.
    """
    name = f"{type(data).__name__} of {len(data):,} items"
    if not len(data):
        raise DataError(f"{name} is empty.")
    items = Items(name, what, data.__getitem__, len(data), _class_names(data), None, {})
    first = items._item(0)
    if isinstance(first, Mapping):
        columns = find_columns(name, first, getattr(data, "features", None), is_example)
        note = {"columns": f"{' and '.join(filter(None, columns[:2]))}, of {', '.join(map(str, first))}"}
        return Items(name, what, data.__getitem__, len(data), columns[2] or items.classes, columns[:2], note)
    ignored = len(first) - 2 if isinstance(first, tuple | list) else 0
    note = {"ignored": f"all but the first two of the {ignored + 2} parts of an item"} if ignored > 0 else {}
    return Items(name, what, data.__getitem__, len(data), items.classes, None, note)


def read_items(
    parts: Sequence[Items], asked: Asked, cache: Path, progress: bool
) -> tuple[list[Part], Asked, dict[str, str]]:
    """Read every item once, in order.

    Pictures of PIL are resized and cropped as files are, to bytes (N, C, S, S); arrays and tensors are kept.

    Returns:
        The examples and labels of each part, how these arrays are to be read, and notes.

    Raises:
        DataError: items that cannot be read, change from reading to reading, or differ in kind or shape.
    """
    for items in parts:
        _check_constant(items)
    example, _ = parts[0][0]
    if is_picture(example):
        if asked.range or asked.layout:
            raise UsageError(f"{parts[0].name} holds PIL images, which take no range or layout.")
        pictures, notes = _read_pictures(parts, asked, cache, progress)
        return pictures, replace(asked, layout="NCHW", range=(0, 255)), notes
    layout: Layout | None = asked.layout
    axes = as_array(example).ndim
    if layout is None and axes in (2, 3):
        layout = "NHW" if axes == 2 else "NCHW" if isinstance(example, Tensor) else "NHWC"
    arrays = [_read_arrays(items, as_array(example), cache, progress) for items in parts]
    return arrays, replace(asked, layout=layout), {}


def is_example(value: object) -> bool:
    """Return whether `value` may be an example: a PIL image or an array."""
    return is_picture(value) or is_array(value)


def is_picture(example: object) -> bool:
    """Return whether `example` is a PIL image."""
    from PIL import Image

    return isinstance(example, Image.Image)


def is_array(data: object) -> bool:
    """Return whether `data` is a NumPy array, a tensor, or an array of another library that NumPy can read."""
    if isinstance(data, Tensor | np.ndarray):
        return True
    return all(hasattr(data, name) for name in ("__array__", "shape", "dtype")) and not isinstance(
        data, np.generic
    )


def _check_constant(items: Items) -> None:
    """Raise DataError if one of some items is not the same when it is read again."""
    for at in np.unique(np.linspace(0, items.count - 1, _TWICE).astype(int)).tolist():
        (one, its), (two, other) = items[at], items[at]
        first, second = np.asarray(as_array(one)), np.asarray(as_array(two))
        equal_nan = first.dtype.kind == "f"  # NaN is refused later, by its position
        if first.shape != second.shape or its != other or not np.array_equal(first, second, equal_nan):
            raise DataError(
                f"item {at} of {items.name} is not the same when it is read again. Turn its random augmentation "
                "off: genlab mirrors pictures with --flip and augments GANs with --diff-augment."
            )


def _read_arrays(items: Items, like: Array, cache: Path, progress: bool) -> Part:
    rows, labels = Rows(items.count, like.shape, like.dtype, cache), []
    with bar(progress) as show:
        for at in show.track(range(items.count), description="reading"):
            example, label = items[at]
            if is_picture(example):
                raise DataError(f"item {at} of {items.name} is a PIL image, but the first item is an array.")
            array = as_array(example)
            if (array.shape, array.dtype) != (like.shape, like.dtype):
                raise DataError(
                    f"item {at} of {items.name} is {_kind(array)}, but the first item is {_kind(like)}. "
                    "Give all in one shape, or as PIL images, which genlab resizes."
                )
            rows.add(array)
            labels.append(label)
    return Part(items.what, rows.array(), _labels(items, labels))


def _read_pictures(
    parts: Sequence[Items], asked: Asked, cache: Path, progress: bool
) -> tuple[list[Part], dict[str, str]]:
    """Read pictures at each size that may become the default, which is known when all have been read."""
    own = fit.kept_size(*parts[0][0][0].size)  # if all have it
    sizes: set[fit.Size] = {asked.size} if asked.size else {*fit.DEFAULTS, own or fit.DEFAULTS[0]}
    grey = asked.channels != 3  # until the first picture in colour
    sides: list[int] = []
    found = []
    for items in parts:
        rows = {
            size: Rows(items.count, (1 if grey else 3, *fit.sides(size)), np.dtype(np.uint8), cache)
            for size in sizes
        }
        labels = []
        with bar(progress) as show:
            for at in show.track(range(items.count), description="reading"):
                picture, label = _upright(items, at)
                labels.append(label)
                sides.append(min(picture.size))
                own = own if picture.size == (own, own) else None
                if grey and asked.channels is None and picture.mode != "L":
                    grey = False
                    rows = {size: its.in_colour() for size, its in rows.items()}
                for size, its in rows.items():
                    its.add(fit.fit(picture, size, its.shape[0]))
        found.append((rows, _labels(items, labels)))
    size = asked.size or own or fit.default_size(sides)
    values = [(rows[size] if grey or rows[size].shape[0] == 3 else rows[size].in_colour()) for rows, _ in found]
    read = [
        Part(items.what, its.array(), labels) for items, its, (_, labels) in zip(parts, values, found, strict=True)
    ]
    native = f"shorter side {min(sides)} to {max(sides)}, median {np.median(sides):g}"
    seen = "PIL images of 8 bits; bytes 0..255"
    resize = {} if own == size else {"resize": fit.rule(size)}
    return read, {"recognised": seen, "native size": native, **resize}


def _upright(items: Items, at: int) -> tuple[Any, int | str | None]:
    """Return a picture as 8-bit grey or RGB, turned as its EXIF data say, and its label."""
    from PIL import ImageOps

    picture, label = items[at]
    if not is_picture(picture):
        raise DataError(f"item {at} of {items.name} is an array, but the first item is a PIL image.")
    try:
        return to_bytes(ImageOps.exif_transpose(picture)), label
    except Exception as error:  # for damaged files Pillow's plugins raise almost any type
        raise DataError(f"item {at} of {items.name} cannot be used: {error}") from error


def _labels(items: Items, labels: Sequence[int | str | None]) -> Array | None:
    """Return the labels of all items, or None if none has one."""
    missing = [at for at, label in enumerate(labels) if label is None]
    if len(missing) == len(labels):
        return None
    if missing:
        raise DataError(f"item {missing[0]} of {items.name} has no label, but other items have one.")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise DataError(f"some labels of {items.name} are text and others whole numbers: give one type.")
    return np.asarray(labels)


def _class_names(data: Any) -> Sequence[str] | None:  # noqa: ANN401 any class
    """Return `.classes` of a data set, or of the one that it is a part of."""
    while data is not None:
        names = getattr(data, "classes", None)
        if isinstance(names, tuple | list) and names and all(isinstance(name, str) for name in names):
            return names
        data = getattr(data, "dataset", None)
    return None


def _kind(value: object) -> str:
    """Return the type of a value, and the shape of an array; never what it holds."""
    return (
        f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor | np.ndarray) else type(value).__name__
    )
