"""The speed of loading: from pictures in memory to batches of floats."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genlab.bench.measure import Scope, Spread, interleaved, ratios, seconds
from genlab.bench.page import Row, Section
from genlab.data.dataset import Subset, make_dataset
from genlab.data.loader import Loader

IMAGES, SIDE, BATCH, BATCHES, LEAST = 50_000, 32, 64, 400, 30_000
GENLAB = "genlab's loader"


class Plain(Dataset[Tensor]):
    """The usual dataset, which converts image by image."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.images[index]).float() / 127.5 - 1


def measure(scope: Scope) -> Section:
    """Compare genlab's loader with torch's."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=np.uint8)
    ours = make_dataset("random", Subset(images, np.arange(IMAGES)), None, ())
    with ExitStack() as stack:
        loader = stack.enter_context(Loader(ours, BATCH, seed=0))
        streams: dict[str, Iterator[object]] = {GENLAB: loader}
        for workers in (0, 2):
            streams[f"torch DataLoader, num_workers={workers}"] = _endless(Plain(images), workers)
        timers: dict[str, Callable[[], float]] = {
            name: partial(seconds, partial(_draw, stream)) for name, stream in streams.items()
        }
        found = interleaved(timers, scope.repeats)
    rates = {name: [BATCH * BATCHES / value for value in values] for name, values in found.items()}
    rows = [
        Row(name, Spread.of(values), "images/s", least=LEAST if name == GENLAB else None)
        for name, values in rates.items()
    ]
    others = list(rates)[1:]
    rows += [Row(f"genlab to {name}", ratios(rates[GENLAB], rates[name]), "times") for name in others]
    method = (
        f"{IMAGES:,} random colour images of {SIDE}×{SIDE} bytes in memory, shuffled, as float32 in [-1, 1] in "
        f"batches of {BATCH}; {BATCHES} batches per measurement, as fast as possible. DataLoader reads a dataset "
        "that converts image by image; its workers keep running, and its start is not counted."
    )
    return Section("Loading batches", method, rows)


def _endless(images: Plain, workers: int) -> Iterator[Tensor]:
    loader = DataLoader(images, BATCH, shuffle=True, drop_last=True, num_workers=workers)
    while True:
        yield from loader


def _draw(stream: Iterator[object]) -> None:
    for _ in range(BATCHES):
        next(stream)
