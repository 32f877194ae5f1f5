"""The measures of models that fill holes, beside those of fills without a model."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from genlab.applications.subject import Subject, mean_of, protocol_of, rows_of
from genlab.core.batch import at_once
from genlab.core.condition import MASK, SOURCE
from genlab.core.device import device_of
from genlab.metrics.figures import Better, Figure
from genlab.metrics.holes import harmonic_fill, hole_l1, hole_psnr, mean_fill

MOST = 1000  # pictures that are measured
MEASURES = {"hole_psnr": hole_psnr, "hole_l1": hole_l1}


@torch.no_grad()
def hole_fidelity(subject: Subject) -> Iterator[Figure]:
    """Yield PSNR and L1 of missing pixels, beside those of harmonic filling and of the mean of known pixels."""
    conditions = subject.real.spec.conditions
    if MASK not in subject.model.conditions or MASK not in conditions:
        return
    count, found = min(MOST, len(subject.real), subject.samples), defaultdict[str, list[Tensor]](list)
    index = rows_of(subject, count)
    for rows in np.array_split(index, -(-count // at_once(subject.real.spec.target.shape))):
        batch = subject.real.batch(rows)
        source, hole = batch.condition[SOURCE], batch.condition[MASK] > 0
        given = batch.to(device_of(subject.model)).condition_for(subject.model.conditions)
        fills = {
            "model": subject.model.restore(given).float().cpu(),
            "harmonic": harmonic_fill(source, hole),
            "mean": mean_fill(source, hole),
        }
        for kind, fill in fills.items():
            for name, measure in MEASURES.items():
                found[f"{kind} {name}"].append(measure(fill, batch.x, hole).double())
    for name in MEASURES:
        ours, harmonic, mean = (torch.cat(found[f"{kind} {name}"]) for kind in ("model", "harmonic", "mean"))
        gain, error = mean_of(ours - harmonic)
        floor, lower = float(harmonic.mean()), float(mean.mean())
        note = f"{floor:.4g} harmonic filling, {lower:.4g} the mean of known pixels, {gain:+.3g} ± {error:.2g}"
        better: Better = "lower" if name == "hole_l1" else "higher"
        protocol = {"pictures": count, "pixels": "missing ones", **protocol_of(subject)}
        yield Figure(name, *mean_of(ours), better, protocol, note, floor)
