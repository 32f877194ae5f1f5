"""New pictures from a model that samples."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, need_labels
from genlab.core.contract import Samples, SamplesInSteps, takes_labels
from genlab.core.device import of
from genlab.core.random import generator
from genlab.data.progress import bar

CHUNK = 250


def sample(model: nn.Module, count: int, seed: int, label: int | None = None, *, progress: bool = False) -> Tensor:
    """Return `count` new images (count, C, H, W) in [-1, 1]; the same seed gives the same images.

    A model that takes labels goes round its classes, or makes images of the class `label` only. With `progress`
    there is a bar on a terminal where sampling takes many steps.

    Raises:
        GenlabError: the model does not sample, or takes no labels.
    """
    labels = None if label is None else torch.full((count,), label)
    pieces = batches(model, count, seed, labels)
    if not progress or not isinstance(model, SamplesInSteps):
        return torch.cat([piece() for piece in pieces])
    with bar(show=True) as shown:
        task, made = shown.add_task("sampling"), 0

        def show(step: int, steps: int) -> None:
            shown.update(task, completed=made * steps + step, total=len(pieces) * steps)

        model.progress_callback, images = show, []
        try:
            for made, piece in enumerate(pieces):  # noqa: B007 (`show` reads it)
                images.append(piece())
        finally:
            model.progress_callback = None
    return torch.cat(images)


def batches(
    model: nn.Module, count: int, seed: int, labels: Tensor | None = None
) -> Sequence[Callable[[], Tensor]]:
    """Return what makes the batches of `count` samples; each has its own noise, so that any can be made first.

    Args:
        model: that samples.
        count: how many samples.
        seed: of the noise.
        labels: of the samples of a model that takes some, (count,); by default round its classes.

    Raises:
        GenlabError: the model does not sample, or takes no labels.
    """
    need(model, Samples, "sampling")
    if labels is not None:
        need_labels(model)
    return [
        partial(_batch, model, seed, start, min(CHUNK, count - start), labels) for start in range(0, count, CHUNK)
    ]


@torch.no_grad()
def _batch(model: nn.Module, seed: int, start: int, count: int, labels: Tensor | None) -> Tensor:
    noise, network = generator(seed, "samples", start), model
    if takes_labels(model):
        rows = torch.arange(start, start + count)
        told = rows % model.classes if labels is None else labels[rows]
        return model.sample(count, noise, told.to(of(network))).cpu()
    return need(model, Samples, "sampling").sample(count, noise).cpu()
