"""Samples from a model, in chunks that can be made in any order and of any size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, need_label
from genlab.core.batch import AT_ONCE
from genlab.core.condition import NONE, Condition, condition_rows, fill, in_turn
from genlab.core.contract import Samples, SamplesInSteps
from genlab.core.device import device_of
from genlab.core.random import RowNoise, drawn_by_row
from genlab.data.progress import bar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

CPU = torch.device("cpu")


def sample(
    model: nn.Module,
    count: int,
    seed: int,
    condition: Condition = NONE,
    *,
    chunk: int = AT_ONCE,
    progress: bool = False,
) -> Tensor:
    """Return `count` new examples (count, *shape). Each depends only on the seed, its position and its condition.

    Args:
        model: a model that samples.
        count: number of samples.
        seed: of the noise.
        condition: the conditions of the samples, by name: {"label": (count,)}; by default labels cycle through the
            classes.
        chunk: number of samples to make at a time.
        progress: show a progress bar on a terminal.

    Raises:
        GenlabError: the model does not sample, or does not take the condition.
    """
    pieces = batches(model, count, seed, condition, chunk)
    with _progress(model, count, show=progress) as made:
        return torch.cat([made(piece()) for piece in pieces])


def able(model: nn.Module, condition: Condition) -> Samples:
    """Return `model`, which can sample under these conditions.

    Raises:
        GenlabError: as `sample`.
    """
    samples = need(model, Samples, "sampling")
    if "label" in condition:
        need_label(samples)
    return samples


def batches(
    model: nn.Module, count: int, seed: int, condition: Condition = NONE, chunk: int = AT_ONCE
) -> Sequence[Callable[[], Tensor]]:
    """Return functions that make `count` samples in chunks; a sample has its own noise, so their order is free.

    Raises:
        GenlabError: as `sample`.
    """
    samples = able(model, condition)
    filled = fill(samples.conditions, condition, count)
    device = device_of(model) if filled else CPU
    return [
        partial(sample_rows, samples, device, seed, rows, condition_rows(filled, slice(rows.start, rows.stop)))
        for rows in chunks(count, chunk)
    ]


def stream(
    model: nn.Module, parts: Sequence[range], seed: int, turns: Condition = NONE, *, progress: bool = False
) -> Iterator[tuple[range, Condition, Tensor]]:
    """Yield the samples of each range of rows with the rows and their conditions, which `turns` gives in turn.

    Raises:
        GenlabError: as `sample`.
    """
    samples, device = able(model, turns), device_of(model) if turns else CPU
    with _progress(model, sum(map(len, parts)), show=progress) as made:
        for rows in parts:
            given = in_turn(turns, rows)
            yield rows, given, made(sample_rows(samples, device, seed, rows, given))


def chunks(count: int, chunk: int) -> list[range]:
    """Return the rows 0 to `count`, in ranges of `chunk`."""
    return [range(start, min(start + chunk, count)) for start in range(0, count, chunk)]


@torch.no_grad()
def sample_rows(model: Samples, device: torch.device, seed: int, rows: range, condition: Condition) -> Tensor:
    """Return the samples of `rows`, on the CPU, under the conditions of these rows."""
    given = {name: value.to(device) for name, value in condition.items()}
    with by_row(model):
        return model.sample(len(rows), given, RowNoise(seed, "samples", rows)).cpu()


def by_row(model: object) -> AbstractContextManager[object]:
    """Return a context in which a user's own model draws its noise by row, too; genlab's call `normal`."""
    return nullcontext() if type(model).__module__.startswith("genlab.") else drawn_by_row()


@contextmanager
def _progress(model: nn.Module, count: int, *, show: bool) -> Iterator[Callable[[Tensor], Tensor]]:
    """Show how many of `count` samples are made; yields a function that is called with those just made."""
    with bar(show) as shown:
        task, done = shown.add_task("sampling", total=count), 0

        def made(samples: Tensor) -> Tensor:
            nonlocal done
            done += len(samples)
            shown.update(task, completed=done)
            return samples

        with steps_shown(model, shown, task, "sampling") if show else nullcontext():
            yield made


@contextmanager
def steps_shown(model: nn.Module, shown: "Progress", task: "TaskID", doing: str) -> Iterator[None]:
    """Show the steps that a model takes inside the context, if it samples in steps, in the text of a task."""
    if not isinstance(model, SamplesInSteps):
        yield
        return
    model.progress_callback = lambda step, steps: shown.update(task, description=f"{doing}, step {step}/{steps}")
    try:
        yield
    finally:
        model.progress_callback = None
