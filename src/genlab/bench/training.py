"""How many images a second a model is trained on: genlab against the textbook loop, and against the machine."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genlab.bench.measure import Spread, in_turns, ratios, seconds
from genlab.bench.page import Row, Section
from genlab.bench.textbook import textbook
from genlab.core import device as devices
from genlab.core.batch import ImageShape
from genlab.core.random import Randomness
from genlab.data.dataset import Dataset, Subset, make_dataset
from genlab.data.loader import Loader
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.run import build
from genlab.recipes.settings import Settings
from genlab.recipes.vae import VAERecipe
from genlab.training.average import Average
from genlab.training.fit import Cadence, Progress, Surroundings, fit
from genlab.training.run_folder import RunFolder

IMAGES = 1024
LEAST_SECONDS = 0.3  # of a measurement
TEXTBOOK = "textbook loop"
METHOD = (
    "Images that the critic, or the autoencoder, is trained on in a second. genlab is `fit` as users get it: its "
    "loader, the average of the weights, every check and a line of the history now and then, without previews, "
    "evaluations and checkpoints. The textbook loop is plain PyTorch as tutorials teach it, with the same "
    "networks, batch and pictures: float32, contiguous, a DataLoader over tensors in memory, plain optimizers, "
    "losses read back in each step. They take turns. The share of the peak is that of what a large convolution "
    "reaches here in the same type, in the arithmetic of convolutions and matrix products alone."
)


@dataclass(frozen=True)
class Case:
    """A model and the pictures that it is trained on, by their number of channels and their side."""

    preset: str
    channels: int
    side: int
    options: Mapping[str, Any] = field(default_factory=dict)
    aims: Mapping[str, float] = field(default_factory=dict)  # times the textbook loop, by precision

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.preset}, {self.side} px"

    @property
    def recipe(self) -> GANRecipe | VAERecipe:
        """The preset with the options."""
        recipe = replace(PRESETS[self.preset], **self.options)
        assert isinstance(recipe, GANRecipe | VAERecipe)
        return recipe


CASES: Sequence[Case] = (
    Case("gan", 1, 28, {"batch": 64}),
    Case("dcgan", 3, 32, {"batch": 64}, {"bf16": 5.5, "float32": 2.0}),
    Case("dcgan", 3, 64, {"batch": 64}, {"bf16": 5.0}),
    Case("wgan-gp", 3, 32, {"batch": 64}, {"bf16": 4.0}),
    Case("sngan", 3, 32, {"batch": 64, "width": 64}),
    Case("vae", 1, 28, {"batch": 64}),
    Case("conv-vae", 3, 32, {"batch": 64}),
)


def measure(repeats: int, cases: Sequence[Case] = CASES, device: str = "auto") -> Section:
    """Time each case in both precisions and as the textbook does."""
    where = devices.choose(device)
    rows: list[Row] = []
    peaks = {name: _peak(dtype, where) for name, dtype in devices.PRECISIONS.items()}
    for case in cases:
        rows += _rows(case, repeats, where, peaks)
    rows += [Row(f"peak of a convolution, {name}", peak / 1e9, "GFLOP/s") for name, peak in peaks.items()]
    return Section("Training", METHOD, rows)


def _rows(case: Case, repeats: int, where: torch.device, peaks: Mapping[str, float]) -> list[Row]:
    recipe, data = case.recipe, _pictures(case)
    images = recipe.batch * (recipe.critic_steps if isinstance(recipe, GANRecipe) else 1)
    with ExitStack() as stack:
        works: dict[str, Callable[[int], object]] = {
            name: stack.enter_context(_ours(recipe, data, where, dtype))
            for name, dtype in devices.PRECISIONS.items()
        }
        works[TEXTBOOK] = _theirs(recipe, data, where)
        with _Operations() as counted:
            works["float32"](1)
        steps = {name: _steps(work) for name, work in works.items()}
        speeds = {name: partial(_speed, work, steps[name], images, where) for name, work in works.items()}
        found = in_turns(speeds, repeats)
    rows = [Row(f"{case.name}: {name}", Spread.of(found[name]), "images/s") for name in works]
    rows += [
        Row(
            f"{case.name}: {name} to {TEXTBOOK}",
            ratios(found[name], found[TEXTBOOK]),
            "times",
            least=case.aims.get(name),
        )
        for name in devices.PRECISIONS
    ]
    work = counted.total / images
    return rows + [
        Row(f"{case.name}: {name}, of the peak", 100 * Spread.of(found[name]).median * work / peaks[name], "%")
        for name in devices.PRECISIONS
    ]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operations of all convolutions and matrix products within.

    torch's own FlopCounterMode, whose formulas these are, cannot count where a gradient is taken within a step.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        made = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func.overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=made)
        return made


def _pictures(case: Case) -> Dataset:
    shape = (IMAGES, case.channels, case.side, case.side)
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return make_dataset("random", Subset(values, np.arange(IMAGES)), None, ())


@contextmanager
def _ours(
    recipe: GANRecipe | VAERecipe, data: Dataset, where: torch.device, dtype: torch.dtype
) -> Iterator[Callable[[int], object]]:
    """Give what takes some steps of `fit`, in a temporary run folder."""
    training = build(recipe, data.shape, Randomness(0, device=where), dtype=dtype)
    average = Average(training.model, recipe.ema) if recipe.ema else None
    progress, never = Progress(), 10**9
    with tempfile.TemporaryDirectory() as place, Loader(data, recipe.batch, seed=0, device=where) as batches:
        folder = RunFolder.create(Path(place), "bench")
        around = Surroundings(save=lambda *_, **__: None, observers=[folder])

        def advance(steps: int) -> None:
            plan = Cadence(progress.step + steps, None, Settings().log_every, never, never, never)
            fit(training, batches, plan, progress, around, average=average)

        yield advance


def _theirs(recipe: GANRecipe | VAERecipe, data: Dataset, where: torch.device) -> Callable[[int], object]:
    torch.manual_seed(0)
    model = recipe.model(ImageShape(*data.shape)).to(where)
    step = textbook(recipe, model, data.batch(np.arange(len(data))).images.contiguous())

    def advance(steps: int) -> None:
        for _ in range(steps):
            step()

    return advance


def _steps(work: Callable[[int], object]) -> int:
    """Return how many steps take long enough to be measured."""
    work(1)
    return max(1, round(LEAST_SECONDS / seconds(lambda: work(1))))


def _speed(work: Callable[[int], object], steps: int, images: int, where: torch.device) -> float:
    def whole() -> None:
        work(steps)
        _wait(where)

    return steps * images / seconds(whole)


def _wait(where: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if where.type == "cuda":
        torch.cuda.synchronize()


def _peak(dtype: torch.dtype, where: torch.device) -> float:
    """Return the operations a second of a 3×3 convolution of 256 channels, the best of several."""
    layer = devices.place(nn.Conv2d(256, 256, 3, padding=1, bias=False).to(dtype), where)
    maps = torch.randn(32, 256, 32, 32, device=where, dtype=dtype).to(memory_format=torch.channels_last)
    operations = 2 * maps.numel() * 256 * 9

    @torch.no_grad()
    def once() -> None:
        layer(maps)
        _wait(where)

    once()
    return operations / min(seconds(once) for _ in range(10))
