"""Keeps the arrays of a source in the cache, so that opening it again is fast and processes share the memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from genlab.core.modality import DataSpec
from genlab.data.cache import prepared
from genlab.data.dataset import Array, Dataset, Rejected, Source
from genlab.data.fit import Size
from genlab.data.stamp import stamp, too_new

_VERSION = 3  # of the cache's contents: increase it when the same files would be converted differently
_SIDES = ("train", "held_out")


def stored(
    name: str,
    files: Sequence[Path],
    size: Size | None,
    channels: int | None,
    cache: Path,
    make: Callable[[], Source],
    depends: object = None,
) -> Source:
    """Return the source that `make` builds from `files`: from the cache, if neither they nor `depends` change.

    Raises:
        DataError: the cache cannot be written, or an error of `make`.
    """
    stats = [path.stat() for path in files]
    if too_new(max(about.st_ctime_ns for about in stats)):
        stats = [path.stat() for path in files]
    stamps = [(str(path.resolve()), *stamp(about)) for path, about in zip(files, stats, strict=True)]
    key = ["stored", _VERSION, name, stamps, size, channels, depends]
    return prepared(cache, key, lambda folder: _write(make(), folder), _read)


def _write(source: Source, folder: Path) -> None:
    about: dict[str, Any] = {"name": source.name, "total": source.total, "notes": dict(source.notes)}
    about["rejected"] = [astuple(item) for item in source.rejected]
    for side in _SIDES:
        split: Dataset = getattr(source, side)
        np.save(folder / f"{side}.npy", split.values[np.arange(len(split))])
        if split.labels is not None:
            np.save(folder / f"{side}-labels.npy", split.labels)
        about[side] = {
            "name": split.name,
            "classes": split.classes,
            "fingerprint": split.fingerprint,
            "spec": DataSpec(split.modality).values(),
        }
    (folder / "meta.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _read(folder: Path) -> Source:
    about = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    train, held_out = (_read_split(folder, side, **about[side]) for side in _SIDES)
    rejected = tuple(Rejected(*item) for item in about["rejected"])
    return Source(about["name"], train, held_out, about["total"], rejected, notes=about["notes"])


def _read_split(
    folder: Path, side: str, name: str, classes: list[str], fingerprint: str, spec: Mapping[str, Any]
) -> Dataset:
    values: Array = np.load(folder / f"{side}.npy", mmap_mode="r").view(np.ndarray)
    labels = folder / f"{side}-labels.npy"
    its = np.load(labels) if labels.exists() else None
    return Dataset(name, values, its, tuple(classes), fingerprint, DataSpec.of(spec).target)
