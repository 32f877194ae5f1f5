"""Describes a source as plain values: counts, classes, shape, range, rejected files; and draws some of it."""

from functools import reduce
from typing import Any

import numpy as np

from genlab.core.condition import SOURCE
from genlab.core.pictures import SPACE, Picture, beside
from genlab.data.apart import Sources
from genlab.data.dataset import Source, Split, chunks
from genlab.data.tables_columns import described
from genlab.data.two_sides import TwoSides
from genlab.data.wrappers import Paired, Unpaired

_COLUMNS, _ROWS = 4, 8  # of pairs in a picture


def describe(source: Source) -> dict[str, Any]:
    """Return counts, classes, shape, range of values, rejected files and notes on what was decided.

    The result is plain values for JSON and YAML. All examples are read once.
    """
    sides = {"train": source.train, "held_out": source.held_out}
    with_sources = SOURCE in source.train.spec.conditions
    sources = {name: _describe(_sources(side)) for name, side in sides.items()} if with_sources else {}
    return {
        "source": source.name,
        "total": source.total,
        "accepted": sum(map(len, sides.values())),
        "shape": list(source.train.spec.target.shape),
        **({"columns": columns} if (columns := described(source.train)) else {}),
        "splits": {name: _describe(side) for name, side in sides.items()},
        **({"sources": sources} if sources else {}),
        "rejected": [{"path": item.path, "reason": item.reason} for item in source.rejected],
        "notes": dict(source.notes),
    }


def describe_sides(source: Source, sides: TwoSides) -> dict[str, Any]:
    """Return the description of a source that was made of two sides, and of both sides before that."""
    both = zip((sides.a, sides.b), sides.unmatched, strict=True)
    return {
        **describe(source),
        "accepted": sides.total - len(source.rejected),
        "sides": {
            side.name: {"where": side.where, "count": len(side), "without_partner": len(rows)}
            for side, rows in both
        },
        "pairs": len(sides.pairs),
    }


def _sources(split: Split) -> Split:
    return split.source if isinstance(split, Paired | Unpaired) else Sources(split)


def drawn(data: Split) -> Picture:
    """Draw some examples, the same ones each time.

    Pairs of images are shown in columns, each source left of its target; unpaired sources in a half of their own.
    """
    spec = data.spec
    order, shown = np.random.default_rng(0).permutation(len(data)), spec.target.shown
    if SOURCE not in spec.conditions:
        return spec.target.draw(data.batch(order[:shown]).x)
    source = spec.conditions[SOURCE]
    if not (spec.aligned and spec.target.spatial):
        batch = data.batch(order[:shown])
        return beside(source.draw(batch.condition[SOURCE]), spec.target.draw(batch.x))
    columns = []
    for rows in np.split(order[: _COLUMNS * _ROWS], range(_ROWS, min(len(order), _COLUMNS * _ROWS), _ROWS)):
        batch = data.batch(rows)
        columns.append(beside(source.draw(batch.condition[SOURCE], 1), spec.target.draw(batch.x, 1), SPACE))
    return reduce(beside, columns)


def _describe(side: Split) -> dict[str, Any]:
    low, high, total = np.inf, -np.inf, 0.0
    for chunk in chunks(side.values):
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
        total += float(chunk.sum(dtype=np.float64))
    counts = np.zeros(0, dtype=np.int64)
    if side.labels is not None:
        counts = np.bincount(side.labels, minlength=side.spec.classes)
    return {
        "count": len(side),
        "dtype": side.values.dtype.name,
        "range": {"min": low, "mean": total / float(np.prod(side.values.shape)), "max": high},
        "classes": {name: int(count) for name, count in zip(side.spec.class_names, counts, strict=True)},
        "fingerprint": side.fingerprint,
    }
