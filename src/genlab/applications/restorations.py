"""The measures of models that restore pictures, each beside that of the sources as they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.applications.restore import scale_of
from genlab.applications.restore_files import baseline_name
from genlab.applications.subject import Subject, mean_of, protocol_of, rows_of
from genlab.core.batch import at_once
from genlab.core.condition import SOURCE
from genlab.core.contract import restores_whole
from genlab.core.device import device_of
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.extractors.resize import as_bytes
from genlab.metrics.figures import Better, Figure
from genlab.metrics.perceptual import perceptual, perceptual_stamp
from genlab.metrics.restoration import border_of, likeness, stamp
from genlab.metrics.translation import untranslated

MOST = 1000  # patches that are measured
PART = 512  # pixels of a side of the parts of large pictures of which the mean perceptual distance is taken


class Restored(NamedTuple):
    """Restored pictures (B, C, H, W), the sources as they are, enlarged if they are smaller, and the originals."""

    made: Tensor
    floor: Tensor
    truth: Tensor


@torch.no_grad()
def restoration_fidelity(subject: Subject) -> Iterator[Figure]:
    """Yield how near restored pictures or patches are to the originals, beside how near their sources are."""
    if not restores_whole(subject.model) or not subject.real.spec.aligned:
        return
    count, scale = min(MOST, len(subject.real), subject.samples), scale_of(subject.real.spec)
    protocol = {"patches": count, **protocol_of(subject)}
    yield from figures_of(_patches(subject, count), subject.extractor, scale, protocol)


def _patches(subject: Subject, count: int) -> Iterator[Restored]:
    index = rows_of(subject, count)
    for rows in np.array_split(index, -(-count // at_once(subject.real.spec.target.shape))):
        batch = subject.real.batch(rows)
        given = batch.to(device_of(subject.model)).condition_for(subject.model.conditions)
        made = subject.model.restore(given).float().cpu()
        yield Restored(made, untranslated(batch.condition[SOURCE], batch.x.shape[1:]), batch.x)


def figures_of(
    restored: Iterable[Restored], extractor: Extractor | None, scale: int, protocol: Mapping[str, Any]
) -> Iterator[Figure]:
    """Yield the means of all measures of restored pictures, each with that of the sources as its floor.

    The perceptual distance is that of the maps of the pictures in their own size.
    """
    native = None
    if extractor is not None and extractor.layers is not None:
        native = replace(extractor, side=None)
    ours, floors = defaultdict[str, list[Tensor]](list), defaultdict[str, list[Tensor]](list)
    channels = 3
    for some in restored:
        channels = some.truth.shape[1]
        for values, images in ((ours, some.made), (floors, some.floor)):
            for name, value in _measures(images, some.truth, border_of(scale), native).items():
                values[name].append(value.double())
    for name in ours:
        all_ours, all_floors = torch.cat(ours[name]), torch.cat(floors[name])
        gain, error = mean_of(all_ours - all_floors)
        own = perceptual_stamp(native) if native and "[" in name else stamp(channels, border_of(scale))
        better: Better = "lower" if "[" in name else "higher"
        floor = float(all_floors.mean())
        note = f"{floor:.4g} {baseline_name(scale)}, {gain:+.3g}" + (f" ± {error:.2g}" if isfinite(error) else "")
        yield Figure(name, *mean_of(all_ours), better, {**own, **protocol}, note, floor)


def _measures(made: Tensor, truth: Tensor, border: int, extractor: Extractor | None) -> dict[str, Tensor]:
    found = likeness(made, truth, border)
    if extractor is not None:
        found[f"perceptual[{extractor.name}]"] = _perceptual(extractor, as_bytes(made), truth)
    return found


def _perceptual(extractor: Extractor, made: Tensor, truth: Tensor) -> Tensor:
    """Return the mean perceptual distance (B,) of the parts of pictures, which are as large as memory allows."""
    rows, columns = (_bounds(side) for side in truth.shape[2:])
    parts = [
        perceptual(extractor, *(images[..., top:bottom, left:right] for images in (made, truth)))
        for (top, bottom), (left, right) in product(rows, columns)
    ]
    return torch.stack(parts).mean(0)


def _bounds(side: int) -> list[tuple[int, int]]:
    count = -(-side // PART)
    return [(at * side // count, (at + 1) * side // count) for at in range(count)]
