"""Looks for what is wrong with two sides: exchanged or identical pairs, lost partners, copies, unequal counts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genlab.core.condition import SOURCE
from genlab.core.random import derive_seed
from genlab.core.text import counted, few
from genlab.data.dataset import Array, IntArray, Source, as_floats
from genlab.data.two_sides import Side, TwoSides
from genlab.data.wrappers import Unpaired

BoolArray = npt.NDArray[np.bool_]
Read = Callable[[IntArray], tuple[Array, Array]]  # positions -> sources and targets (B, C, H, W)

GLANCE = 300  # pairs that are looked at as a training starts
_CHUNK = 64  # pairs in memory at a time
_ENOUGH = 20  # pairs from which the colours of the sides are learned
_APART = 3.0  # standard deviations between the sides from which colours tell them apart
_ROUNDS = 10
_UNEQUAL = 4  # times as many on one side
_THUMB = 16  # side in pixels of what copies are found by
_ALIKE = 8 / 127.5  # the largest difference of a pixel between copies, which may be compressed differently
_TRAIN, _HELD_OUT = 5000, 1000  # pictures that are compared


class Looks(NamedTuple):
    """What was seen of N pairs."""

    identical: BoolArray  # (N,) whether the source equals the target
    sources: Array  # (N, F) statistics of colours
    targets: Array  # (N, F)


def side_warnings(sides: TwoSides, *, aligned: bool) -> list[str]:
    """Return what may be wrong with two sides, which are read as pairs or not, in words."""
    found = [*_unmatched(sides), *_identical_and_swapped(sides)] if aligned else _unused_pairs(sides)
    counts = _unequal((sides.a.where, len(sides.a)), (sides.b.where, len(sides.b)))
    return [*found, *([counts] if counts and not aligned else []), *_copies(sides.a), *_copies(sides.b)]


def pair_notes(source: Source) -> dict[str, str]:
    """Return what may be wrong with the pairs or sides that a training reads, as far as a glance shows."""
    data = source.train
    if SOURCE not in data.spec.conditions or not data.spec.target.spatial:
        return {}
    if isinstance(data, Unpaired) and data.source is not data.target:
        counts = _unequal(("the sources", len(data.source)), ("the targets", len(data.target)))
        return {"unequal sides": counts} if counts else {}
    if not data.spec.aligned:
        return {}

    def read(rows: IntArray) -> tuple[Array, Array]:
        batch = data.batch(rows)
        return batch.condition[SOURCE].numpy(), batch.x.numpy()

    rows, looks = look(read, len(data), GLANCE)
    seen = {"identical pairs": looks.identical, "exchanged sides": swapped(looks.sources, looks.targets)}
    return {
        name: f"{int(which.sum())} of {len(rows)} pairs looked at: {_WORDS[name]}. `genlab data` names them"
        for name, which in seen.items()
        if which.any()
    }


_WORDS = {
    "identical pairs": "source and target are the same picture",
    "exchanged sides": "by their colours the source looks like a target, and the target like a source",
}


def _identical_and_swapped(sides: TwoSides) -> list[str]:
    pairs = sides.pairs
    rows, looks = look(lambda its: (sides.a.values[pairs[its, 0]], sides.b.values[pairs[its, 1]]), len(pairs))
    found = {"identical pairs": looks.identical, "exchanged sides": swapped(looks.sources, looks.targets)}
    return [
        f"{counted(int(which.sum()), 'pair')} of {len(rows):,}: {_WORDS[name]}: "
        f"{few(sides.a.shown(row) for row in pairs[which, 0])}."
        for name, which in found.items()
        if which.any()
    ]


def _unmatched(sides: TwoSides) -> list[str]:
    return [
        f"{counted(len(rows), 'file')} in {side.where} without a partner in {other.where}: "
        f"{few(side.shown(row) for row in rows)}. Files of a pair need the same name; the suffix may differ."
        for side, other, rows in zip((sides.a, sides.b), (sides.b, sides.a), sides.unmatched, strict=True)
        if len(rows)
    ]


def _unused_pairs(sides: TwoSides) -> list[str]:
    """Return that some names are equal, where so few are that the sides were not taken for pairs."""
    if not (sides.a.keys and len(sides.pairs)) or sides.likely_pairs:
        return []
    return [
        f"{counted(len(sides.pairs), 'file name')} on both sides, too few to be taken for pairs: "
        f"{few(sides.a.shown(row) for row in sides.pairs[:, 0])}. Use --pairs aligned to read these alone."
    ]


def _unequal(*sides: tuple[str, int]) -> str | None:
    (less, fewer), (more, most) = sorted(sides, key=lambda side: side[1])
    if most <= _UNEQUAL * fewer:
        return None
    return (
        f"{fewer:,} pictures in {less}, but {most:,} in {more}: the few are repeated so often that a model may "
        "memorise them."
    )


def _copies(side: Side) -> list[str]:
    """Return which held-out pictures of a side look like one to train on."""
    out = side.rows_held_out()
    if side.values.shape[0] < 2 or len(side.values.shape) != 4:
        return []
    train, held_out = np.flatnonzero(~out), np.flatnonzero(out)
    train, held_out = train[some(len(train), _TRAIN)], held_out[some(len(held_out), _HELD_OUT)]
    copies = _alike(_thumbs(side, held_out), _thumbs(side, train))
    if not copies:
        return []
    shown = few(f"{side.shown(held_out[one])} and {side.shown(train[other])}" for one, other in copies)
    return [
        f"{counted(len(copies), 'held-out picture')} in {side.where} that training also has, the same or nearly: "
        f"{shown}. They make evaluations look better than they are."
    ]


def _thumbs(side: Side, rows: IntArray) -> Array:
    """Return grey thumbnails of pictures as rows (N, at most 256) in [-1, 1]."""
    made = []
    for part in np.array_split(rows, -(-len(rows) // _CHUNK) or 1):
        grey = as_floats(side.values[part]).mean(axis=1)
        for axis in (1, 2):
            length = grey.shape[axis]
            edges = np.linspace(0, length, min(_THUMB, length), endpoint=False).astype(np.int64)
            widths = np.diff([*edges, length]).reshape(-1, *[1] * (2 - axis))
            grey = np.add.reduceat(grey, edges, axis=axis) / widths
        made.append(grey.reshape(len(part), -1))
    return np.concatenate(made)


def _alike(ones: Array, others: Array) -> list[tuple[int, int]]:
    """Return for each row of `ones` that equals one of `others`, up to `_ALIKE` in each number, both positions."""
    squares = (ones**2).sum(1)[:, None] + (others**2).sum(1) - 2 * ones @ others.T
    found: dict[int, int] = {}
    for one, other in np.argwhere(squares <= ones.shape[1] * _ALIKE**2):
        if one not in found and np.abs(ones[one] - others[other]).max() <= _ALIKE:
            found[int(one)] = int(other)
    return list(found.items())


def look(read: Read, count: int, most: int | None = None) -> tuple[IntArray, Looks]:
    """Look at `most` of `count` pairs, the same every time, or at all; return their positions and looks."""
    rows = some(count, most)
    seen = [_look(*read(part)) for part in np.array_split(rows, -(-len(rows) // _CHUNK) or 1)]
    return rows, Looks(*(np.concatenate(parts) for parts in zip(*seen, strict=True)))


def some(count: int, most: int | None) -> IntArray:
    """Return at most `most` of `count` positions, in order and the same every time."""
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(derive_seed(0, "pairs")).permutation(count)[:most])


def _look(sources: Array, targets: Array) -> Looks:
    same = np.zeros(len(sources), dtype=bool)
    if sources.shape == targets.shape:
        same = (sources == targets).reshape(len(sources), -1).all(1)
    else:
        sources, targets = (as_floats(side).mean(axis=1, keepdims=True) for side in (sources, targets))
    return Looks(same, colours(sources), colours(targets))


def colours(images: Array) -> Array:
    """Return mean and standard deviation of each channel of images (N, C, H, W), (N, 2C)."""
    pixels = as_floats(images).reshape(*images.shape[:2], -1)
    return np.concatenate([pixels.mean(-1, dtype=np.float64), pixels.std(-1, dtype=np.float64)], axis=1)


def swapped(sources: Array, targets: Array) -> BoolArray:
    """Return which pairs have colours (N, F) that look as if source and target were exchanged.

    A direction in which targets differ from sources is learned from the pairs (Fisher's discriminant of their
    differences), together with the pairs that point the other way. It has to tell the sides apart with hardly an
    overlap; then the source of a swapped pair lies among the targets, and its target among the sources.
    """
    none = np.zeros(len(sources), dtype=bool)
    if len(sources) < _ENOUGH:
        return none
    every = np.concatenate([sources, targets])
    sources, targets = ((side - every.mean(0)) / (every.std(0) + 1e-6) for side in (sources, targets))
    differences, sign = targets - sources, np.ones(len(sources))
    for _ in range(_ROUNDS):
        turned = sign[:, None] * differences
        spread = np.cov(turned, rowvar=False) + 0.01 * np.eye(turned.shape[1])
        direction = np.linalg.solve(spread, turned.mean(0))
        before, sign = sign, np.where(differences @ direction < 0, -1.0, 1.0)
        if (sign == before).all():
            break
    sign, direction = (sign, direction) if sign.mean() > 0 else (-sign, -direction)
    proper = sign > 0
    low, high = sources @ direction, targets @ direction
    gap = high[proper].mean() - low[proper].mean()
    spreads = np.sqrt(low[proper].var() + high[proper].var()) + 1e-9
    if gap < _APART * spreads:
        return none
    middle = (high[proper].mean() + low[proper].mean()) / 2
    found: BoolArray = (low > middle) & (high < middle) & (low - high > gap / 2)
    return found
