"""A training of one player, which descends on one objective."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from genlab.core.accumulation import optimizer_step_on
from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.random import Randomness

M = TypeVar("M", bound=nn.Module)


@dataclass(eq=False)
class SingleObjectiveTraining(Generic[M]):
    """Descends on the mean of `objective` over a fresh batch in each step.

    Args:
        model: what is trained.
        optimizer: of the model.
        randomness: of all that a step draws.
        clip_norm: the largest norm of the gradient.
        accumulate: parts of a batch that go through the network one after the other.
    """

    player: ClassVar[str]  # what errors and checkpoints call it

    model: M
    optimizer: torch.optim.Optimizer
    randomness: Randomness
    clip_norm: float | None = None
    accumulate: int = 1

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The one that there is."""
        return {self.player: self.optimizer}

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Take one descent step on one batch."""
        objective, parts, clip = partial(self.objective, step), self.accumulate, self.clip_norm
        signals, norm = optimizer_step_on(
            next(batches), objective, self.optimizer, self.randomness, parts=parts, clip=clip
        )
        return {**signals, "gradient_norm": norm}

    @abstractmethod
    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and what there is to say about it."""
