"""Opens two sides that are held in arrays, which are paired by position."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genlab.core.condition import SOURCE
from genlab.core.errors import DataError
from genlab.data.arrayfile import open_arrays
from genlab.data.arrays import ROWS, assemble
from genlab.data.cache import cache_folder
from genlab.data.dataset import Joined, Source
from genlab.data.npz import as_images
from genlab.data.sides import LETTERS, letter_of
from genlab.data.stored import stored
from genlab.data.two_sides import Side, TwoSides

_NEXT = (
    "Give the arrays A and B, or trainA, trainB, testA and testB; or two files: --data TARGETS --source SOURCES."
)


def open_array_sides(name: str, path: Path, options: Mapping[str, Any]) -> TwoSides:
    """Open the arrays A and B of an `.npz`, or trainA, trainB, testA and testB, with options of `as_source`.

    Raises:
        DataError: arrays that are missing, or that cannot be used as they are.
    """
    size, channels, range_ = (options.get(option) for option in ("size", "channels", "range"))
    with open_arrays(path) as arrays:
        keys = _keys(name, list(arrays.headers))
    unused = sorted(set(arrays.headers) - {key for its in keys for key in its})
    cache = options.get("cache") or cache_folder()

    def make(letter: str, its: list[str]) -> Source:
        with open_arrays(path) as arrays:
            read = {key: arrays.read(key) for key in its}
        parts, notes = as_images(path, read, size, channels, range_)
        rule = ROWS if len(its) == 1 else f'the source\'s own: "{its[1]}" held out'
        return assemble(letter, parts, [None for _ in parts], (), rule, notes)

    a, b = (
        stored(letter, [path], size, channels, cache, partial(make, letter, its), [name, its, range_])
        for letter, its in zip(LETTERS, keys, strict=True)
    )
    sides = sides_of_sources(a, b, name, LETTERS)
    return sides if not unused else sides.noting({"not used": f"the arrays {', '.join(unused)}"})


def sides_of_sources(
    a: Source, b: Source, name: str | None = None, names: tuple[str, str] | None = None
) -> TwoSides:
    """Return two opened sources as the two sides; their labels are left out.

    Raises:
        DataError: their examples differ in shape, or have sources already.
    """
    names = names or ((a.name, b.name) if a.name != b.name else ("source", "target"))
    shapes = [its.train.spec.target.shape for its in (a, b)]
    if shapes[0] != shapes[1]:
        option = "--channels 1 or 3" if shapes[0][1:] == shapes[1][1:] else "--size"
        raise DataError(
            f"{names[0]} and {names[1]} have examples of shape {shapes[0]} and {shapes[1]}; both sides need "
            f"the same: choose with {option}."
        )
    for its in (a, b):
        if SOURCE in its.train.spec.conditions:
            raise DataError(
                f'"{its.name}" has a source for each example already: give it alone, without --source.'
            )
    notes = {
        f"{title} {what}": note
        for title, its in zip(names, (a, b), strict=True)
        for what, note in its.notes.items()
    }
    notes |= {
        f"{title} labels": "not used"
        for title, its in zip(names, (a, b), strict=True)
        if its.train.labels is not None
    }
    one, two = (_side(title, its) for title, its in zip(names, (a, b), strict=True))
    about = {"sides": f"A is {one.where} ({len(one):,}), B is {two.where} ({len(two):,})"}
    return TwoSides(name or b.name, one, two, a.total + b.total, (*a.rejected, *b.rejected), {**about, **notes})


def _side(name: str, source: Source) -> Side:
    counts = len(source.train), len(source.held_out)
    return Side(
        name,
        name,
        Joined(source.train.values, source.held_out.values),
        held_out=np.arange(sum(counts)) >= counts[0],
    )


def _keys(name: str, found: list[str]) -> tuple[list[str], list[str]]:
    """Return the names of the arrays of A and of B: one, or those for training and held out."""
    parts: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for key in found:
        if (letter := letter_of(key)) is not None:
            side, part = letter
            if part in parts[side]:
                raise DataError(
                    f'"{name}": the arrays {parts[side][part]} and {key} are the same side. Rename one.'
                )
            parts[side][part] = key
    shown = ", ".join(found) or "none"
    if not any(parts):
        raise DataError(f'"{name}" has no arrays of two sides; it has {shown}. {_NEXT}')
    if parts[0].keys() != parts[1].keys():
        lone = [key for one, two in (parts, parts[::-1]) for part, key in one.items() if part not in two]
        raise DataError(f'"{name}" has {", ".join(lone)} without the other side; it has {shown}. {_NEXT}')
    if set(parts[0]) not in ({""}, {"train"}) and not ("train" in parts[0] and len(parts[0]) == 2):
        raise DataError(f'"{name}" has {shown}, but one part is for training and one held out. {_NEXT}')
    one, two = ([its[part] for part in sorted(its, key=lambda part: part != "train")] for its in parts)
    return one, two
