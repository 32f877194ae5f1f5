"""Times alternatives in turns, so that other load slows them equally, and keeps the spread."""

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
    """The settings of all measurements."""

    repeats: int
    device: torch.device
    presets: Collection[str] | None = None  # to measure; None for all


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of several measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value."""
        values = list(values)
        return cls(median(values), min(values), max(values))


class Seconds(NamedTuple):
    """The wall time of something, and the processor time of all threads of this process."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Seconds:
    """Return how long `work` takes."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute in `count` threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wait(device: torch.device) -> None:
    """Wait until `device` has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of `work`."""
    return timed(work).wall


def interleaved(candidates: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Return `repeats` measurements of each candidate, in rounds; every second round is in reverse order.

    A first round, which fills caches, is not counted.
    """
    for measured in candidates.values():
        measured()
    found: dict[str, list[T]] = {name: [] for name in candidates}
    for turn in range(repeats):
        for name in list(candidates)[:: -1 if turn % 2 else 1]:
            found[name].append(candidates[name]())
    return found


def ratios(numerators: Iterable[float], denominators: Iterable[float]) -> Spread:
    """Return the spread of the ratios of measurements in the same round."""
    return Spread.of(a / b for a, b in zip(numerators, denominators, strict=True))


def time_calls(work: Callable[[], object], repeats: int, calls: int = 50) -> Spread:
    """Return the mean seconds of a call over `calls` in a row."""
    work()
    return Spread.of(seconds(lambda: [work() for _ in range(calls)]) / calls for _ in range(repeats))
