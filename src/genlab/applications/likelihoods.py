"""The measures of a model's likelihood."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import torch

from genlab.applications.subject import Subject, mean_of, protocol_of
from genlab.core.batch import AT_ONCE, Batch, at_once
from genlab.core.condition import required_conditions
from genlab.core.device import device_of
from genlab.core.random import generator
from genlab.data.dataset import IntArray
from genlab.metrics.figures import Figure
from genlab.metrics.likelihood import bits_per_dimension
from genlab.runs.data import black_and_white
from genlab.runs.statistics import random_rows

IMPORTANCE_DRAWS, IMPORTANCE_IMAGES, IMPORTANCE_CHUNK = 100, 500, 20


@torch.no_grad()
def likelihood_bound(subject: Subject) -> Iterator[Figure]:
    """Yield the evidence lower bound: of bytes in bits per dimension, else in nats."""
    model, noise = subject.model, generator(subject.seed, "measured bound")
    index = random_rows(len(subject.real), subject.samples)
    required = required_conditions(model.conditions)
    bounds = [
        model.evidence_bound(batch.x, batch.condition_for(required), noise).cpu().double()
        for batch in _batches(subject, index)
    ]
    nats, stamp = -torch.cat(bounds), _protocol(subject, len(index))
    if model.levels:
        value, error = (bits_per_dimension(mean, _numbers(subject)) for mean in mean_of(nats))
        yield Figure("bits_per_dimension", value, error, "lower", {**stamp, "pixels": "bytes"})
    else:
        yield Figure("negative_bound", *mean_of(nats), "lower", stamp)


@torch.no_grad()
def split_bound(subject: Subject) -> Iterator[Figure]:
    """Yield distortion and rate, the parts of the bound, and the tighter importance-weighted bound."""
    model, noise = subject.model, generator(subject.seed, "measured parts")
    index = random_rows(len(subject.real), subject.samples)
    stamp = _protocol(subject, len(index))
    parts = [model.distortion_and_rate(batch.x, generator=noise) for batch in _batches(subject, index)]
    for name, values in zip(("distortion", "rate"), zip(*parts, strict=True), strict=True):
        yield Figure(name, *mean_of(torch.cat([value.cpu().double() for value in values])), "none", stamp)
    few = index[:IMPORTANCE_IMAGES]
    bounds = [
        model.importance_bound(batch.x, IMPORTANCE_DRAWS, generator=noise).cpu().double()
        for batch in _batches(subject, few, IMPORTANCE_CHUNK)
    ]
    value, error = mean_of(-torch.cat(bounds))
    stamp = {**stamp, "real": len(few), "draws": IMPORTANCE_DRAWS}
    yield Figure("importance_nll", value, error, "lower", stamp)
    levels = 0 if subject.pixels == "binary" else subject.real.spec.target.levels
    if subject.pixels != "unknown" and levels is not None:
        bits = bits_per_dimension(value, _numbers(subject), levels=levels)
        yield Figure("bits_per_dimension", bits, bits_per_dimension(error, _numbers(subject)), "lower", stamp)


def _batches(subject: Subject, index: IntArray, most: int = AT_ONCE) -> Iterator[Batch]:
    """Yield real examples on the model's device, binarised if the model was trained so."""
    draws, each = generator(subject.seed, "measured pixels"), min(most, at_once(subject.real.spec.target.shape))
    for start in range(0, len(index), each):
        batch = subject.real.batch(index[start : start + each])
        if subject.pixels == "binary":
            batch = replace(batch, x=black_and_white(batch.x, draws))
        yield batch.to(device_of(subject.model))


def _protocol(subject: Subject, count: int) -> dict[str, Any]:
    values = "pixels" if subject.real.spec.target.spatial == 2 else "values"
    likelihood = {"likelihood": subject.likelihood}
    return {"real": count, values: subject.pixels, **protocol_of(subject), **likelihood}


def _numbers(subject: Subject) -> int:
    return prod(subject.real.spec.target.shape)
