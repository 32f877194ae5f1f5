"""Gradients that add up over the parts of a batch, for batches that do not fit into memory as a whole."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.optimizer import optimizer_step
from genlab.core.random import Randomness

Objective: TypeAlias = Callable[[Batch, Randomness], tuple[Tensor, Signals]]  # the mean loss over a batch's rows


def optimizer_step_on(
    batch: Batch,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    randomness: Randomness,
    *,
    parts: int = 1,
    clip: float | None = None,
) -> tuple[Signals, Tensor]:
    """Descend on the mean of `objective` over the parts of a batch; return its mean signals and the norm.

    Each part draws its rows of the whole batch's noise, so that a loss that is a mean over images has the same
    gradient however many parts there are. What looks at several images at once (batch normalisation, the start of
    activation normalisation, minibatch layers, relativistic scores, matched features) sees those of one part.

    Raises:
        NonFiniteError: as `optimizer_step`.
    """
    seen: list[Signals] = []

    def losses() -> Iterator[Tensor]:
        for number, part in enumerate(batch.parts(parts)):
            loss, signals = objective(part, randomness.part(number, parts))
            seen.append({name: signal.detach() for name, signal in signals.items()})
            yield loss / parts

    norm = optimizer_step(losses(), optimizer, clip)
    if parts == 1:
        return seen[0], norm
    return {name: torch.stack([signals[name] for signals in seen]).mean(0) for name in seen[0]}, norm
