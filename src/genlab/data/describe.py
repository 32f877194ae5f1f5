"""Describes a source as plain values: counts, classes, shape, range, rejected files."""

from typing import Any

import numpy as np

from genlab.data.dataset import Source, Split, chunks


def describe(source: Source) -> dict[str, Any]:
    """Return counts, classes, shape, range of values, rejected files and notes on what was decided.

    The result is plain values for JSON and YAML. All examples are read once.
    """
    sides = {"train": source.train, "held_out": source.held_out}
    return {
        "source": source.name,
        "total": source.total,
        "accepted": sum(map(len, sides.values())),
        "shape": list(source.train.spec.target.shape),
        "splits": {name: _describe(side) for name, side in sides.items()},
        "rejected": [{"path": item.path, "reason": item.reason} for item in source.rejected],
        "notes": dict(source.notes),
    }


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
