"""The speed of training: genlab compared with the textbook loop and with the peak of the machine."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genlab.bench.cases import CASES, TEXTBOOK, Case, chosen, compared, ours, pictures, theirs
from genlab.bench.measure import Scope, Spread, interleaved, seconds, wait
from genlab.bench.page import Row, Section
from genlab.core import device as devices
from genlab.recipes.gan import GANRecipe

LEAST_SECONDS = 0.3  # of a measurement
METHOD = (
    "Training images per second of a model; for a GAN, of its discriminator. genlab is `fit` as users run it, "
    "with its loader, averaged weights, all checks and lines of the history, but without previews, evaluations "
    "and checkpoints. The textbook loop is plain PyTorch as in tutorials, with the same networks, batch size and "
    "pictures: float32, contiguous, a DataLoader over tensors in memory, default optimizers, losses read back in "
    "each step. They are measured in turns. The percentage of the peak counts only convolutions and matrix "
    "products, relative to a large convolution here in the same type. bf16 is measured if the device has units "
    "for it."
)


def measure(scope: Scope) -> Section:
    """Time each case in the precisions that the device has units for, and the textbook loop."""
    rows: list[Row] = []
    peaks = {name: _peak(dtype, scope.device) for name, dtype in devices.precisions(scope.device).items()}
    for case in chosen(CASES, scope):
        rows += _rows(case, scope.repeats, scope.device, peaks)
    rows += [Row(f"peak of a convolution, {name}", peak / 1e9, "GFLOP/s") for name, peak in peaks.items()]
    return Section("Training", METHOD, rows)


def _rows(case: Case, repeats: int, where: torch.device, peaks: Mapping[str, float]) -> list[Row]:
    recipe, data = case.recipe, pictures(case)
    images = recipe.batch_size * (recipe.discriminator_steps if isinstance(recipe, GANRecipe) else 1)
    with ExitStack() as stack:
        works: dict[str, Callable[[int], object]] = {
            name: stack.enter_context(ours(recipe, data, where, dtype))
            for name, dtype in devices.precisions(where).items()
        }
        works[TEXTBOOK] = theirs(recipe, data, where)
        with _Operations() as counted:
            works["float32"](1)
        steps = {name: _steps(work) for name, work in works.items()}
        speeds = {name: partial(_speed, work, steps[name], images, where) for name, work in works.items()}
        found = interleaved(speeds, repeats)
    work = counted.total / images
    return compared(case, found, TEXTBOOK) + [
        Row(f"{case.name}: {name}, of the peak", 100 * Spread.of(found[name]).median * work / peaks[name], "%")
        for name in peaks
    ]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of all convolutions and matrix products inside the context.

    It uses the formulas of torch's FlopCounterMode, which fails if a gradient is computed within a step.
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


def _steps(work: Callable[[int], object]) -> int:
    """Return the number of steps that take at least `LEAST_SECONDS`."""
    work(1)
    return max(1, round(LEAST_SECONDS / seconds(lambda: work(1))))


def _speed(work: Callable[[int], object], steps: int, images: int, where: torch.device) -> float:
    def whole() -> None:
        work(steps)
        wait(where)

    return steps * images / seconds(whole)


def _peak(dtype: torch.dtype, where: torch.device) -> float:
    """Return the operations per second of a 3×3 convolution with 256 channels, the best of several."""
    layer = devices.to_device(nn.Conv2d(256, 256, 3, padding=1, bias=False).to(dtype), where)
    maps = torch.randn(32, 256, 32, 32, device=where, dtype=dtype).to(memory_format=torch.channels_last)
    operations = 2 * maps.numel() * 256 * 9

    @torch.no_grad()
    def once() -> None:
        layer(maps)
        wait(where)

    once()
    return operations / min(seconds(once) for _ in range(10))
