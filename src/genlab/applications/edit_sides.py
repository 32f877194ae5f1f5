"""The examples with and without an attribute, between whose latents a direction leads."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from genlab.applications.edit import direction
from genlab.applications.project import Projecting, codes_of
from genlab.core.batch import at_once
from genlab.core.device import device_of
from genlab.core.text import counted
from genlab.data.dataset import IntArray, Rejected, Split
from genlab.data.originals import originals, stacked
from genlab.data.progress import bar
from genlab.data.read import unreadable
from genlab.runs.statistics import random_rows

NUMBERS = 2**26  # of the examples of one side


@dataclass(frozen=True)
class Sides:
    """Examples with an attribute, and others."""

    towards: Tensor  # (N, *shape)
    rest: Tensor  # (M, *shape)
    note: str
    stamp: str  # changes with the data that they are from


@dataclass(frozen=True)
class Step:
    """A direction in latents and the same direction in the numbers of the examples."""

    latents: Tensor  # (latent,)
    pixels: Tensor | None  # shape; None for a direction that is not from examples


def sides_of_class(train: Split, label: int, count: int) -> Sides:
    """Return at most `count` training examples of a class, and as many of all others, chosen at random."""
    assert train.labels is not None
    rows = random_rows(len(train), None)
    own, name = train.labels[rows] == label, train.spec.class_names[label]
    towards, rest = (_batch(train, rows[which][: _most(train, count)]) for which in (own, ~own))
    note = f"{_counted(towards)} of class {name} and {len(rest):,} of others, for training"
    return Sides(towards, rest, note, f"{train.fingerprint} {label}")


def sides_of_folder(path: Path, train: Split, count: int) -> Sides:
    """Return at most `count` of the pictures at a path, and as many training examples, chosen at random.

    Raises:
        UsageError: there is nothing at the path.
        DataError: there are no pictures.
    """
    rejected, most = list[Rejected](), _most(train, count)
    with originals(path, train.spec.target) as given:
        stamp = f"{given.stamp} {train.fingerprint}"
        found = list(islice(chain.from_iterable(given.chunks(rejected)), most))
    if not found:
        raise unreadable(path, rejected)
    rest, towards = _batch(train, random_rows(len(train), most)), stacked(found)
    unread = f", {len(rejected)} of which could not be read" if rejected else ""
    note = f"{_counted(towards)} of {given.count:,} at {path}{unread} and {len(rest):,} for training"
    return Sides(towards, rest, note, stamp)


def step_of(model: nn.Module, sides: Sides, how: Projecting, *, probe: bool, progress: bool) -> Step:
    """Return the direction from the rest to what is wanted.

    Raises:
        GenlabError: the model neither encodes nor can examples be projected.
        DataError: no direction, as of `direction`.
    """
    total, latents = len(sides.towards) + len(sides.rest), []
    with bar(progress) as shown:
        task = shown.add_task("examples of the direction", total=total)
        for side in (sides.towards, sides.rest):
            found = []
            for x in torch.split(side, at_once(side.shape[1:])):
                found.append(codes_of(model, x.to(device_of(model)), how).latents)
                shown.advance(task, len(x))
            latents.append(torch.cat(found))
    pixels = direction(sides.towards.flatten(1), sides.rest.flatten(1))
    return Step(direction(*latents, probe=probe), pixels.view(sides.rest.shape[1:]))


def _most(train: Split, count: int) -> int:
    return max(1, min(count, NUMBERS // prod(train.spec.target.shape)))


def _batch(train: Split, rows: IntArray) -> Tensor:
    return torch.cat(list(_pieces(train, rows)))


def _pieces(train: Split, rows: IntArray) -> Iterator[Tensor]:
    each = at_once(train.spec.target.shape)
    for start in range(0, max(1, len(rows)), each):
        yield train.batch(rows[start : start + each]).x


def _counted(side: Tensor) -> str:
    return counted(len(side), "example")
