"""Turns arrays of images or points into what data sets hold: bytes, or float32 in [-1, 1]."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from genlab.core.errors import DataError, UsageError
from genlab.data import fit, split
from genlab.data.dataset import Array, IntArray, Source, Subset, Values, make_dataset
from genlab.data.labels import encode, label_array
from genlab.data.ranges import Part, extent, floats, limits, limits_given, seen, stored

Layout = Literal["NCHW", "NHWC", "NHW"]
LAYOUTS = {"NCHW": "(N, C, H, W)", "NHWC": "(N, H, W, C)", "NHW": "(N, H, W)"}
GIVEN = "as given: held_out"
ROWS = "about 10% by a hash of each row number: a row stays in its split when others are appended"


@dataclass(frozen=True)
class Asked:
    """How arrays are to be read."""

    range: tuple[float, float] | None = None
    layout: Layout | None = None
    size: fit.Size | None = None
    channels: int | None = None
    classes: Sequence[str] | None = None


def as_array(data: object) -> Array:
    """Return an array or a tensor on any device as an array, without a copy where possible.

    Raises:
        DataError: a masked array.
    """
    if isinstance(data, Tensor):
        plain = data.detach().cpu().to_dense()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    if isinstance(data, np.ma.MaskedArray):
        raise DataError("a masked array lacks some values: give those that replace them, with array.filled(…).")
    return np.asarray(data)


def source_of_parts(name: str, parts: Sequence[Part], asked: Asked, notes: dict[str, str]) -> Source:
    """Return the source of a part for training and, if there is a second one, a held-out part.

    `notes` take precedence over those on the arrays.

    Raises:
        DataError: parts that cannot be used as they are.
        UsageError: a range, layout, size or names of classes that do not fit.
    """
    for part in parts:
        if part.values.dtype.kind not in "fiub":
            raise DataError(f"{part.about} does not hold numbers: give uint8 or floats.")
        if not part.values.size:
            raise DataError(f"{part.about} is empty.")
    if len(parts) == 1 and len(parts[0].values) < 2:
        raise DataError(f"{parts[0].about} has 1 row, which cannot be split: give at least 2, or held_out=….")
    if parts[0].values.ndim == 2:
        values, found = _points(parts, asked)
    else:
        values, found = _images(parts, asked)
    classes, labels = _classes(parts, asked)
    return assemble(name, values, labels, classes, ROWS if len(parts) == 1 else GIVEN, found | notes)


def assemble(
    name: str,
    values: Sequence[Values],
    labels: Sequence[IntArray | None],
    classes: tuple[str, ...],
    rule: str,
    notes: dict[str, str],
) -> Source:
    """Return the source of a part for training and a held-out one, or of one part, split by a hash of row numbers.

    `rule` says in the notes how the two came about.
    """
    if len(values) == 2:
        sides = list(zip(("train", "held-out"), values, labels, strict=True))
    else:
        (every,), (its,) = values, labels
        out = split.held_out([str(row) for row in range(len(every))])
        sides = [
            (title, Subset(every, rows), None if its is None else its[rows])
            for title, rows in (("train", np.flatnonzero(~out)), ("held-out", np.flatnonzero(out)))
        ]
    train, held_out = (make_dataset(f"{name}/{title}", part, its, classes) for title, part, its in sides)
    return Source(name, train, held_out, len(train) + len(held_out), notes={"split": rule} | notes)


def _classes(parts: Sequence[Part], asked: Asked) -> tuple[tuple[str, ...], Sequence[IntArray | None]]:
    """Return the names of the classes, and for each part the class of each example."""
    present = [part for part in parts if part.labels is not None]
    if not present:
        if asked.classes is not None:
            raise UsageError("classes names labels, but there are none: give labels=… too.")
        return (), [None for _ in parts]
    if len(present) < len(parts):
        raise DataError(
            f"only the {present[0].what} have labels: give both parts as (images, labels), or neither."
        )
    whats = [f"the label array of the {part.what}" for part in parts]
    given = [label_array(part.labels, what) for part, what in zip(parts, whats, strict=True)]
    return encode(given, [len(part.values) for part in parts], whats, asked.classes)


def _points(parts: Sequence[Part], asked: Asked) -> tuple[list[Array], dict[str, str]]:
    """Return points (N, D) as float32 in [-1, 1], and notes."""
    if asked.size or asked.channels or asked.layout:
        raise UsageError(f"{parts[0].about} holds points, not pictures: it takes no size, channels or layout.")
    if parts[0].values.shape[1] < 2:
        raise DataError(
            f"{parts[0].about} holds points of one number; they are drawn in the plane: give two or more."
        )
    if len({part.values.shape[1:] for part in parts}) > 1:
        raise _differ(parts)
    extents = [extent(part) for part in parts]
    low, high = (-1.0, 1.0) if asked.range is None else limits_given(parts, extents, asked.range)
    if asked.range is None and any(least < low or most > high for least, most in extents):
        reach = math.ceil(max(max(-least, most) for least, most in extents))
        raise DataError(
            f"{seen(parts, extents)}: points lie in [-1, 1], because networks cannot reach further. Scale them, "
            f"or say what becomes -1 and 1: genlab.as_source(x, range=({-reach}, {reach}))."
        )
    scale = f"{low:g} to {high:g} became -1 to 1, as given" if asked.range else "kept: all lie in [-1, 1]"
    notes = {"recognised": "points (N, D)", "scale": scale, "stored": "float32"}
    return [floats(part.values, low, high) for part in parts], notes


def _images(parts: Sequence[Part], asked: Asked) -> tuple[list[Array], dict[str, str]]:
    """Return images (N, C, S, S) as uint8, or as float32 in [-1, 1], and notes."""
    laid_out = [_laid_out(part, asked.layout) for part in parts]
    images = [values for values, _ in laid_out]
    if len({its.shape[1:] for its in images}) > 1:
        raise _differ(parts)
    channels, height, width = images[0].shape[1:]
    size = asked.size or fit.kept_size(width, height) or fit.default_size([min(height, width)])
    wanted = (asked.channels or channels, *fit.sides(size))
    low, high, range_ = limits(parts, asked.range)
    resized = wanted != (channels, height, width)
    values, kept = stored(images, low, high, rounded=resized)
    notes = {"recognised": f"{laid_out[0][1]}; {range_}", "native size": f"{width}x{height}"}
    if resized:
        notes["resize"] = fit.change(images[0].shape[1:], size, wanted[0])
        values = [fit.fit_all(part, size, wanted[0]) for part in values]
    return values, {**notes, "stored": kept}


def _laid_out(part: Part, layout: Layout | None) -> tuple[Array, str]:
    """Return the images as contiguous (N, C, H, W), and their layout in words."""
    layout = layout or _layout(part)
    if layout not in LAYOUTS:
        raise UsageError(f'no layout "{layout}". Choices: {", ".join(LAYOUTS)}.')
    values = part.values
    if values.ndim == len(layout):
        images = values[:, None] if layout == "NHW" else values
        images = images.transpose(0, 3, 1, 2) if layout == "NHWC" else images
        if images.shape[1] in fit.CHANNELS:
            return np.ascontiguousarray(images), LAYOUTS[layout]
    raise UsageError(f"{part.about} is not {LAYOUTS[layout]} with C 1 (grey) or 3 (colour). {_choose()}")


def _layout(part: Part) -> Layout:
    shape = part.values.shape
    if len(shape) == 3:
        if shape[0] in fit.CHANNELS or shape[2] in fit.CHANNELS:
            raise DataError(
                f'{part.about} may be a single picture. Give many as (N, C, H, W), or say layout="NHW" if these '
                f"are {shape[0]} grey pictures of {shape[2]}x{shape[1]}."
            )
        return "NHW"
    found: list[Layout] = ["NCHW"] if len(shape) == 4 and shape[1] in fit.CHANNELS else []
    found += ["NHWC"] if len(shape) == 4 and shape[3] in fit.CHANNELS else []
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{part.about} can be read in two ways. {_choose()}")
    raise DataError(
        f"{part.about} holds neither images nor points. Give images (N, C, H, W), (N, H, W, C) or (N, H, W) with "
        "C 1 (grey) or 3 (colour), or points (N, D)."
    )


def _choose() -> str:
    choices = ", ".join(f'layout="{key}" for {axes}' for key, axes in LAYOUTS.items())
    return f"Say which axes it has: {choices}."


def _differ(parts: Sequence[Part]) -> DataError:
    return DataError(f"{' and '.join(part.about for part in parts)} differ in shape.")
