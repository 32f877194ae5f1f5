"""New examples from a model that samples."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, need_label
from genlab.core.condition import NONE, Condition, condition_rows, fill
from genlab.core.contract import Samples, SamplesInSteps
from genlab.core.device import of
from genlab.core.random import generator
from genlab.data.progress import bar

CHUNK = 250


def sample(
    model: nn.Module, count: int, seed: int, condition: Condition = NONE, *, progress: bool = False
) -> Tensor:
    """Return `count` new examples (count, *shape); the same seed gives the same ones.

    Args:
        model: that samples.
        count: how many.
        seed: of the noise.
        condition: of each, by name: {"label": (count,)}; by default what the model's conditions have as one.
        progress: show a bar on a terminal where sampling takes many steps.

    Raises:
        GenlabError: the model does not sample, or not under such a condition.
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
    """Return what makes the batches of `count` samples; each has its own noise, so that any can be made first.

    Raises:
        GenlabError: as `sample`.
    """
    able = need(model, Samples, "sampling")
    if "label" in condition:
        need_label(able)
    whole = fill(able.conditions, condition, count)
    device = of(model) if whole else torch.device("cpu")
    return [
        partial(_batch, able, device, seed, slice(start, min(start + CHUNK, count)), whole)
        for start in range(0, count, CHUNK)
    ]


@torch.no_grad()
def _batch(model: Samples, device: torch.device, seed: int, part: slice, condition: Condition) -> Tensor:
    given = {name: value.to(device) for name, value in condition_rows(condition, part).items()}
    return model.sample(part.stop - part.start, given, generator(seed, "samples", part.start)).cpu()
