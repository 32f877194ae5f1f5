"""Times alternatives in turns, so that a busy machine slows them alike, and keeps the spread."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Scope:
    """What is asked of every measurement."""

    repeats: int
    device: torch.device
    presets: Collection[str] | None = None  # of models; None for all that are measured


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value."""
        values = list(values)
        return cls(median(values), min(values), max(values))


class Seconds(NamedTuple):
    """How long something took, and how long processors worked on it in all threads of this process."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Seconds:
    """Return how long `work` takes."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute in so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wait(device: torch.device) -> None:
    """Wait until `device` has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object]) -> float:
    """Return how long one waits for `work`."""
    return timed(work).wall


def in_turns(candidates: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Return `repeats` measurements of each candidate, round by round, every second round backwards.

    One round goes before that is not counted: it fills caches.
    """
    for measured in candidates.values():
        measured()
    found: dict[str, list[T]] = {name: [] for name in candidates}
    for turn in range(repeats):
        for name in list(candidates)[:: -1 if turn % 2 else 1]:
            found[name].append(candidates[name]())
    return found


def ratios(numerators: Iterable[float], denominators: Iterable[float]) -> Spread:
    """Return the spread of the quotients of measurements of the same round."""
    return Spread.of(a / b for a, b in zip(numerators, denominators, strict=True))


def alone(work: Callable[[], object], repeats: int, calls: int = 50) -> Spread:
    """Return the seconds of one call among `calls` in a row."""
    work()
    return Spread.of(seconds(lambda: [work() for _ in range(calls)]) / calls for _ in range(repeats))
