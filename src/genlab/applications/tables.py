"""The measures of models of tables: how close sampled rows are to real ones, and whether they are copies."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.applications.sample import batches
from genlab.applications.subject import Subject, protocol_of
from genlab.core.batch import at_once
from genlab.core.table import Table
from genlab.core.text import counted
from genlab.data.dataset import IntArray, Split, conditions_of
from genlab.metrics import tables
from genlab.metrics.figures import Figure
from genlab.runs.statistics import random_rows

MOST_ROWS = 5000  # of which neighbours are searched and classifiers learn
CLOSER = 0.05  # than ½, by which the share of samples that are close to training rows varies without copies
MOST_PREDICTED = 8  # columns that classifiers predict


def rows_like_real(subject: Subject) -> Iterator[Figure]:
    """Yield how sampled rows of a table differ from real ones; the floor is that of training rows."""
    table, real = subject.real.spec.target, subject.real
    if not isinstance(table, Table):
        return
    index = random_rows(len(real), subject.samples)
    given = conditions_of(real, index, subject.model.conditions)
    pieces = batches(subject.model, len(index), subject.seed, given, at_once(table.shape))
    with torch.no_grad():
        fake = table.snap(torch.cat([piece().cpu() for piece in pieces]))
    train = _rows(subject.source.train, random_rows(len(subject.source.train), len(index)))
    held_out = _rows(real, index)
    stamp = {"real": len(index), "fake": len(index), **protocol_of(subject)}
    of_fake, of_train = (tables.column_distances(table, rows, held_out) for rows in (fake, train))
    mean, floor = (float(np.mean(list(found.values()))) for found in (of_fake, of_train))
    worst = max(of_fake, key=lambda name: of_fake[name])
    note = f"{floor:.4g} of training rows; largest in {worst}: {of_fake[worst]:.3g}"
    yield Figure("column_distance", mean, None, "lower", stamp, note, floor)
    if len(table.columns) > 1:
        apart, floor = (tables.pair_distance(table, rows, held_out) for rows in (fake, train))
        yield Figure("pair_distance", apart, None, "lower", stamp, f"{floor:.4g} of training rows", floor)
    yield _closeness(train, held_out, fake, stamp)
    yield from _usefulness(subject, table, (train, held_out, fake), stamp)


def _rows(split: Split, index: IntArray) -> Tensor:
    return torch.cat([split.batch(part).x for part in np.array_split(index, -(-len(index) // MOST_ROWS))])


def _closeness(train: Tensor, held_out: Tensor, fake: Tensor, stamp: Mapping[str, Any]) -> Figure:
    """Return the share of samples that are closer to training rows than to as many held-out ones."""
    count = min(len(train), len(held_out), MOST_ROWS)
    train, held_out, fake = train[:count], held_out[:count], fake[:MOST_ROWS]
    share = tables.closer_to_training(train, held_out, fake)
    error = (share * (1 - share) / len(fake)) ** 0.5
    note = "½ if samples know no training row"
    note += "; these are close to them" if share - 0.5 > CLOSER + 3 * error else ""
    stamp = {**stamp, "train": count, "held_out": count, "fake": len(fake)}
    return Figure("closer_to_training", share, error, "none", stamp, note, 0.5)


def _usefulness(
    subject: Subject, table: Table, sets: tuple[Tensor, Tensor, Tensor], stamp: Mapping[str, Any]
) -> Iterator[Figure]:
    """Yield how well classifiers that learned from samples predict columns of real rows.

    The floor is that of classifiers that learned from training rows.
    """
    if len(table.columns) < 2:
        return
    found = []
    for train, held_out, fake in zip(
        *(tables.predicted(table, rows[:MOST_ROWS], MOST_PREDICTED) for rows in sets), strict=True
    ):
        test = held_out.entries, held_out.classes
        found.append([tables.accuracy((each.entries, each.classes), test, subject.seed) for each in (fake, train)])
    value, floor = np.mean(found, 0).tolist()
    note = f"{floor:.4g} from training rows; mean of {counted(len(found), 'column')}"
    yield Figure("predictions_from_samples", value, None, "higher", stamp, note, floor)
