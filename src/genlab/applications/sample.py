"""Samples from a model, in batches that can be made in any order."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, need_label
from genlab.core.condition import NONE, Condition, condition_rows, fill
from genlab.core.contract import Samples, SamplesInSteps
from genlab.core.device import device_of
from genlab.core.random import generator
from genlab.data.progress import bar

CHUNK = 250


def sample(
    model: nn.Module, count: int, seed: int, condition: Condition = NONE, *, progress: bool = False
) -> Tensor:
    """Return `count` new examples (count, *shape); the same seed gives the same examples.

    Args:
        model: a model that samples.
        count: number of samples.
        seed: of the noise.
        condition: the conditions of the samples, by name: {"label": (count,)}; by default labels cycle through the
            classes.
        progress: show a progress bar on a terminal if sampling takes many steps.

    Raises:
        GenlabError: the model does not sample, or does not take the condition.
    """
    pieces = batches(model, count, seed, condition)
    if not progress or not isinstance(model, SamplesInSteps):
        return torch.cat([piece() for piece in pieces])
    with bar(show=True) as shown:
        task, made = shown.add_task("sampling"), 0

        def show(step: int, steps: int) -> None:
            shown.update(task, completed=made * steps + step, total=len(pieces) * steps)

        model.progress_callback, samples = show, []
        try:
            for made, piece in enumerate(pieces):  # noqa: B007 (`show` reads it)
                samples.append(piece())
        finally:
            model.progress_callback = None
    return torch.cat(samples)


def batches(
    model: nn.Module, count: int, seed: int, condition: Condition = NONE
) -> Sequence[Callable[[], Tensor]]:
    """Return functions that make the batches of `count` samples; each has its own noise, so their order is free.

    Raises:
        GenlabError: as `sample`.
    """
    samples = need(model, Samples, "sampling")
    if "label" in condition:
        need_label(samples)
    filled = fill(samples.conditions, condition, count)
    device = device_of(model) if filled else torch.device("cpu")
    return [
        partial(_batch, samples, device, seed, slice(start, min(start + CHUNK, count)), filled)
        for start in range(0, count, CHUNK)
    ]


@torch.no_grad()
def _batch(model: Samples, device: torch.device, seed: int, part: slice, condition: Condition) -> Tensor:
    given = {name: value.to(device) for name, value in condition_rows(condition, part).items()}
    return model.sample(part.stop - part.start, given, generator(seed, "samples", part.start)).cpu()
