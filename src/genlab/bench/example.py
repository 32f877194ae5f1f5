"""The run that is measured: a DCGAN on random colour pictures, set up as by `genlab train`."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from genlab.bench.measure import wait
from genlab.core import device as devices
from genlab.core.batch import Batch
from genlab.core.modality import DataSpec
from genlab.core.random import Randomness
from genlab.data.dataset import Subset, make_dataset
from genlab.data.loader import Loader
from genlab.families.gan import GANTraining
from genlab.recipes.presets import PRESETS
from genlab.recipes.settings import Settings
from genlab.runs.data import SUBSET
from genlab.runs.phases import build
from genlab.training.average import Average
from genlab.training.callbacks import Callbacks, Progress
from genlab.training.fit import Cadence, fit
from genlab.training.run_folder import RunFolder

RECIPE = replace(PRESETS["dcgan"], batch_size=64, width=64)
SETTINGS = Settings()
SIDE, IMAGES = 32, 10_000
ABOUT = (
    f"The preset dcgan, {SIDE}×{SIDE} in colour, width {RECIPE.width}, batch {RECIPE.batch_size}, with averaged "
    "weights, in the precision that `--precision auto` chooses here."
)


@dataclass
class Example:
    """A run that takes a given number of steps at a time."""

    spec: DataSpec
    training: GANTraining
    average: Average
    batches: Loader
    held_out: Batch
    folder: RunFolder
    device: torch.device
    progress: Progress = field(default_factory=Progress)

    def advance(self, steps: int) -> None:
        """Take `steps` steps by `fit`, with logs, but without previews, evaluations and checkpoints."""
        until = self.progress.step + steps
        never = until + 1
        cadence = Cadence(until, None, SETTINGS.log_every, never, never, never, seed=SETTINGS.seed)
        callbacks = Callbacks(save=lambda *_, **__: None, observers=[self.folder])
        fit(self.training, self.batches, cadence, self.progress, callbacks, self.average)
        wait(self.device)


@contextmanager
def example(device: torch.device) -> Iterator[Example]:
    """Yield a run that has taken its first steps, in a temporary folder."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=np.uint8)
    data = make_dataset("random", Subset(images, np.arange(IMAGES)), None, ())
    training = build(
        RECIPE,
        data.spec,
        Randomness(SETTINGS.seed, device=device),
        dtype=devices.precision(SETTINGS.precision, device),
    )
    assert isinstance(training, GANTraining)
    average = Average(training.model, RECIPE.ema)
    held_out = data.batch(np.arange(SUBSET)).to(device)
    with (
        tempfile.TemporaryDirectory() as place,
        Loader(data, RECIPE.batch_size, seed=SETTINGS.seed, device=device) as batches,
    ):
        run = Example(
            data.spec, training, average, batches, held_out, RunFolder.create(Path(place), "dcgan"), device
        )
        run.advance(4)
        yield run
