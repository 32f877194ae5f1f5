"""Makes pairs, or two unpaired sets, of the two sides of a translation."""

import math

import numpy as np

from genlab.core.errors import DataError, UsageError
from genlab.core.reading import Direction, Pairs, Reads
from genlab.core.text import counted, few
from genlab.data import split
from genlab.data.dataset import IntArray, Rejected, Source, Split
from genlab.data.two_sides import LEAST, BoolArray, Side, TwoSides
from genlab.data.wrappers import Paired, Unpaired, WithStyle

UNPAIRED = "cyclegan or cut"  # what learns without pairs
_ASPECT = 0.01  # relative difference of the aspect ratios of a pair that is not seen


def translation(
    sides: TwoSides,
    reads: Reads,
    pairs: Pairs = "auto",
    direction: Direction = "a-to-b",
    seed: int = 0,
    max_rejected: float = 0.01,
) -> Source:
    """Return the sides as what a model reads: pairs, sides or styles; see `open_translation`.

    Raises:
        DataError: too few pairs, or pictures on a side.
        UsageError: pairs of contents and styles.
    """
    refuse_pairs_of_styles(reads, pairs)
    if pairs == "aligned" or (reads == "pairs" and pairs == "auto"):
        train, held_out, rejected, found = _aligned(sides, pairs, direction, max_rejected)
    else:
        train, held_out, found = _unaligned(sides, reads, pairs, direction, seed)
        rejected = []
    if reads == "styles":
        train, held_out = WithStyle(train), WithStyle(held_out)
    a, b = sides.a, sides.b
    domains = (a.name, b.name) if direction == "a-to-b" else (b.name, a.name)
    notes = {**sides.notes, **found, "direction": " → ".join(domains)}
    every = tuple(sorted((*sides.rejected, *rejected), key=lambda its: its.path))
    return Source(sides.name, train, held_out, sides.total, every, notes=notes, domains=domains)


def refuse_pairs_of_styles(reads: Reads, pairs: Pairs) -> None:
    """Raise UsageError if contents and styles are to be read as pairs."""
    if reads == "styles" and pairs == "aligned":
        raise UsageError(
            "a style belongs to no content, so that --pairs aligned has no meaning here: leave it out."
        )


def _aligned(
    sides: TwoSides, pairs: Pairs, direction: Direction, max_rejected: float
) -> tuple[Split, Split, list[Rejected], dict[str, str]]:
    """Return both splits as pairs, the files that are in none, and notes."""
    _refuse_duplicates(sides)
    rows = sides.pairs
    if len(rows) < LEAST or (pairs == "auto" and not sides.likely_pairs):
        raise _few(sides)
    apart = _apart(sides, rows)
    _refuse_apart(sides, rows[apart], max_rejected)
    rejected = [*_without_partner(sides), *_cut_apart(sides, rows[apart])]
    rows = rows[~apart]
    out = sides.a.rows_held_out(rows[:, 0])
    _enough(sides, "pairs", int((~out).sum()), int(out.sum()))
    train, held_out = (
        _ordered(Paired, sides, rows[its, 0], rows[its, 1], title, direction)
        for its, title in ((~out, "train"), (out, "held-out"))
    )
    left = sum(map(len, sides.unmatched))
    notes = f"{counted(len(rows), 'pair')} {_rule(sides)}"
    notes += f"; {counted(left, 'file')} without a partner rejected" if left else ""
    notes += f"; {counted(int(apart.sum()), 'pair')} of different aspect ratios rejected" if apart.any() else ""
    return train, held_out, rejected, {"split": _split_rule(sides), "pairs": notes}


def _unaligned(
    sides: TwoSides, reads: Reads, pairs: Pairs, direction: Direction, seed: int
) -> tuple[Split, Split, dict[str, str]]:
    """Return training data without pairs, held-out data with them if all are pairs, and notes."""
    for side in (sides.a, sides.b):
        if len(side) < LEAST:
            raise DataError(
                f'"{sides.name}": only {counted(len(side), "picture")} in {side.where}. Both sides need at least '
                f"{LEAST}, one to train on and one held out."
            )
    out_a, out_b = sides.a.rows_held_out(), sides.b.rows_held_out()
    for side, out in ((sides.a, out_a), (sides.b, out_b)):
        _enough(sides, f"pictures in {side.where}", int((~out).sum()), int(out.sum()))
    train = _ordered(Unpaired, sides, np.flatnonzero(~out_a), np.flatnonzero(~out_b), "train", direction, seed)
    both = sides.pairs[out_a[sides.pairs[:, 0]] & out_b[sides.pairs[:, 1]]]
    whole = len(both) == out_a.sum() == out_b.sum() and not (sides.a.duplicates or sides.b.duplicates)
    notes = {"split": _split_rule(sides)}
    if reads == "sides" and pairs == "auto" and whole and not _apart(sides, both).any():
        held_out = _ordered(Paired, sides, both[:, 0], both[:, 1], "held-out", direction)
        known = f"unpaired in training; {counted(len(both), 'held-out pair')} {_rule(sides)}, only to measure with"
        return train, held_out, {**notes, "pairs": f"{known}; if they are none: --pairs unaligned"}
    held_out = _ordered(Unpaired, sides, np.flatnonzero(out_a), np.flatnonzero(out_b), "held-out", direction, seed)
    return train, held_out, {**notes, "pairs": "unpaired", **_different_aspects(sides)}


def _ordered(
    make: type[Paired] | type[Unpaired],
    sides: TwoSides,
    rows_a: IntArray,
    rows_b: IntArray,
    title: str,
    direction: Direction,
    *seed: int,
) -> Paired | Unpaired:
    """Return a split whose target is B, or A if the direction is from B to A."""
    a, b = sides.a.split(rows_a, title), sides.b.split(rows_b, title)
    target, source = (b, a) if direction == "a-to-b" else (a, b)
    return make(target, source, *seed)


def _rule(sides: TwoSides) -> str:
    return "by file name" if sides.a.keys else "by position"


def _split_rule(sides: TwoSides) -> str:
    if sides.a.held_out is None:
        return f"{split.RULE}; the pictures of a pair are in the same split"
    return "the source's own" if sides.a.keys else "that of each array; equal positions are in the same split"


def _refuse_duplicates(sides: TwoSides) -> None:
    for side in (sides.a, sides.b):
        if same := side.duplicates:
            raise DataError(
                f'"{sides.name}": {counted(len(same), "file")} in {side.where} share a name: {few(same)}. '
                f"Each name has to be there once to find its pair: rename or remove some, or use {UNPAIRED}."
            )


def _few(sides: TwoSides) -> DataError:
    """Return the error that too few names are equal."""
    a, b, count = sides.a, sides.b, len(sides.pairs)
    if not (a.keys and b.keys):
        return DataError(
            f'"{sides.name}": {a.where} and {b.where} cannot be paired: without file names that is done by '
            f"position, but their splits hold {_counts(a)} and {_counts(b)} examples. Give two folders or two "
            f"arrays, with equally many, or use {UNPAIRED}."
        )
    lone = "; ".join(
        f"{few([side.files[row] for row in rows])} in {side.where}"
        for side, rows in zip((a, b), sides.unmatched, strict=True)
        if len(rows)
    )
    use = ", or use only these with --pairs aligned" if count >= LEAST else ""
    return DataError(
        f'"{sides.name}": {counted(count, "pair")} of equal names among {len(a):,} pictures in {a.where} and '
        f"{len(b):,} in {b.where}. Without a partner: {lone}. Give both files of a pair the same name (suffixes "
        f"may differ){use}, or train without pairs: {UNPAIRED}."
    )


def _counts(side: Side) -> str:
    out = int(side.rows_held_out().sum())
    return f"{len(side) - out:,} + {out:,}"


def _without_partner(sides: TwoSides) -> list[Rejected]:
    found = []
    for side, other, rows in zip((sides.a, sides.b), (sides.b, sides.a), sides.unmatched, strict=True):
        for row in rows if side.keys else ():
            lost = other.lost.get(side.keys[row])
            why = f"its partner cannot be used: {lost}" if lost else f"no file of this name in {other.where}"
            found.append(Rejected(side.files[row], why))
    return found


def _apart(sides: TwoSides, rows: IntArray) -> BoolArray:
    """Return which pairs have aspect ratios that differ by more than a pixel, so that crops show other parts."""
    if sides.a.sizes is None or sides.b.sizes is None:
        return np.zeros(len(rows), dtype=bool)
    (h1, w1), (h2, w2) = sides.a.sizes[rows[:, 0]].T, sides.b.sizes[rows[:, 1]].T
    pixel = np.maximum.reduce([h1, w1, h2, w2])  # what a pixel more in the smaller one changes at most
    different: BoolArray = np.abs(w1 * h2 - w2 * h1) > np.maximum(pixel, _ASPECT * w1 * h2)
    return different


def _refuse_apart(sides: TwoSides, rows: IntArray, limit: float) -> None:
    share = len(rows) / len(sides.pairs)
    if share > limit:
        some = few(f"{_sized(sides.a, one)} with {_sized(sides.b, two)}" for one, two in rows)
        enough = math.ceil(share * 100) / 100
        leave = f", or leave these pairs out: --max-rejected {enough:g}" if enough < 1 else ""
        raise DataError(
            f'"{sides.name}": {len(rows):,} of {counted(len(sides.pairs), "pair")} differ in aspect ratio, so '
            f"that their centres do not show the same: {some}. Crop or pad both of a pair alike{leave}."
        )


def _cut_apart(sides: TwoSides, rows: IntArray) -> list[Rejected]:
    found = []
    for one, two in rows:
        for side, row, other, its in ((sides.a, one, sides.b, two), (sides.b, two, sides.a, one)):
            why = f"its aspect ratio, {_size(side, row)}, differs from that of its pair {_sized(other, its)}"
            found.append(Rejected(side.files[row], why))
    return found


def _size(side: Side, row: int) -> str:
    assert side.sizes is not None
    height, width = side.sizes[row]
    return f"{width}x{height}"


def _sized(side: Side, row: int) -> str:
    return f"{side.files[row]} ({_size(side, row)})"


def _different_aspects(sides: TwoSides) -> dict[str, str]:
    """Return a note if the pictures of one side are typically wider than those of the other."""
    if sides.a.sizes is None or sides.b.sizes is None:
        return {}
    one, two = (float(np.median(side.sizes[:, 1] / side.sizes[:, 0])) for side in (sides.a, sides.b))  # type: ignore[index]
    if abs(one / two - 1) <= 10 * _ASPECT:
        return {}
    where = f"width : height is {one:.2f} in {sides.a.where} and {two:.2f} in {sides.b.where}"
    return {"aspect ratios": f"{where} (medians); the centre square of each is used"}


def _enough(sides: TwoSides, what: str, train: int, held_out: int) -> None:
    """Raise DataError if a split is empty."""
    for count, use in ((train, "for training"), (held_out, "held out")):
        if not count:
            raise DataError(f'"{sides.name}": no {what} {use}; give at least 1.')
