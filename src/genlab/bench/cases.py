"""The trainings that are measured, genlab's and the textbook's, which run a given number of steps at a time."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from genlab.bench.measure import Scope, Spread, ratios
from genlab.bench.page import Row
from genlab.bench.textbook import textbook
from genlab.core.condition import SOURCE
from genlab.core.random import Randomness
from genlab.data.dataset import Split, Subset, make_dataset
from genlab.data.loader import Loader
from genlab.data.wrappers import Paired
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe
from genlab.recipes.settings import Settings
from genlab.runs.phases import build
from genlab.training.average import Average
from genlab.training.callbacks import Callbacks, Progress
from genlab.training.fit import Cadence, fit
from genlab.training.run_folder import RunFolder

IMAGES = 1024
TEXTBOOK = "textbook loop"


@dataclass(frozen=True)
class Case:
    """A preset with options, and the shape of the pictures that it is trained on."""

    preset: str
    channels: int
    side: int
    options: Mapping[str, Any] = field(default_factory=dict)
    aims: Mapping[str, float] = field(default_factory=dict)  # speed relative to the textbook loop, by precision

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"{self.preset}, {self.side} px"

    @property
    def recipe(self) -> Recipe:
        """The recipe of the preset with the options."""
        return replace(PRESETS[self.preset], **self.options)


CASES: Sequence[Case] = (
    Case("gan", 1, 28, {"batch_size": 64}),
    Case("dcgan", 3, 32, {"batch_size": 64}, {"bf16": 5.5, "float32": 2.0}),
    Case("dcgan", 3, 64, {"batch_size": 64}, {"bf16": 5.0}),
    Case("wgan-gp", 3, 32, {"batch_size": 64}, {"bf16": 4.0}),
    Case("sngan", 3, 32, {"batch_size": 64, "width": 64}),
    Case("vae", 1, 28, {"batch_size": 64}),
    Case("conv-vae", 3, 32, {"batch_size": 64}),
    Case("glow", 3, 32, {"batch_size": 64, "width": 64, "flow_steps": 8}, {"bf16": 2.5}),
    Case("ddpm", 3, 32, {"batch_size": 64, "width": 32}, {"bf16": 2.5}),
    Case("pix2pix", 3, 64, {"batch_size": 16, "width": 32}, {"bf16": 3.0, "float32": 1.3}),
    Case("cyclegan", 3, 64, {"batch_size": 1, "width": 32}, {"bf16": 3.0, "float32": 1.3}),
)


@dataclass(frozen=True)
class Driven:
    """A training that takes steps when it is called."""

    model: nn.Module  # the model for use: the average of the weights, if there is one
    advance: Callable[[int], object]

    def __call__(self, steps: int) -> None:
        """Take `steps` steps."""
        self.advance(steps)


def chosen(cases: Sequence[Case], scope: Scope) -> list[Case]:
    """Return the cases of the presets in `scope`."""
    return [case for case in cases if scope.presets is None or case.preset in scope.presets]


def compared(case: Case, speeds: Mapping[str, Sequence[float]], textbook: str) -> list[Row]:
    """Return the rows of images per second, and of genlab's speed relative to the textbook's."""
    return [
        *(Row(f"{case.name}: {name}", Spread.of(values), "images/s") for name, values in speeds.items()),
        *(
            Row(
                f"{case.name}: {name} to {textbook}",
                ratios(speeds[name], speeds[textbook]),
                "times",
                least=case.aims.get(name),
            )
            for name in speeds
            if name != textbook
        ),
    ]


def pictures(case: Case) -> Split:
    """Return random pictures in the shape of a case, in memory; pairs of them for models that translate."""
    shape, draws = (IMAGES, case.channels, case.side, case.side), np.random.default_rng(0)

    def some() -> Split:
        values = draws.integers(0, 256, shape, dtype=np.uint8)
        return make_dataset("random", Subset(values, np.arange(IMAGES)), None, ())

    return some() if case.recipe.reads == "examples" else Paired(some(), some())


@contextmanager
def ours(recipe: Recipe, data: Split, where: torch.device, dtype: torch.dtype, seed: int = 0) -> Iterator[Driven]:
    """Yield a training by `fit`, in a temporary run folder."""
    training = build(recipe, data.spec, Randomness(seed, device=where), dtype=dtype)
    average = Average(training.model, recipe.ema, recipe.half_life()) if recipe.ema else None
    progress, never = Progress(), 10**9
    with (
        tempfile.TemporaryDirectory() as place,
        Loader(data, recipe.batch_size, seed=seed, device=where) as batches,
    ):
        folder = RunFolder.create(Path(place), "bench")
        callbacks = Callbacks(save=lambda *_, **__: None, observers=[folder])

        def advance(steps: int) -> None:
            until = progress.step + steps
            cadence = Cadence(until, None, Settings().log_every, never, never, never, seed=seed)
            fit(training, batches, cadence, progress, callbacks, average)

        yield Driven(average.model if average else training.model, advance)


def theirs(recipe: Recipe, data: Split, where: torch.device, seed: int = 0) -> Driven:
    """Return a training by the textbook loop."""
    torch.manual_seed(seed)
    model = recipe.model(data.spec).to(where)
    batch = data.batch(np.arange(len(data)))
    sources = batch.condition.get(SOURCE)
    step = textbook(recipe, model, batch.x.contiguous(), None if sources is None else sources.contiguous())

    def advance(steps: int) -> None:
        for _ in range(steps):
            step()

    return Driven(model, advance)
