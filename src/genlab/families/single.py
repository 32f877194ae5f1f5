"""The training of one network that minimises one objective."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.player import Player
from genlab.core.random import Randomness

M = TypeVar("M", bound=nn.Module)


@dataclass(eq=False)
class SingleObjectiveTraining(Generic[M]):
    """Minimises `objective`, on a new batch in each step.

    Args:
        model: what is trained.
        player: the model with its optimizer.
        randomness: of all draws of a step.
        accumulate: number of parts of a batch, which go through the network one after another.
    """

    model: M
    player: Player
    randomness: Randomness
    accumulate: int = 1

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The only optimizer, by name."""
        return {self.player.name: self.player.optimizer}

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the weights once, on a new batch."""
        with self.player.learning(self.accumulate):
            for part, randomness in parts(next(batches), self.randomness, self.accumulate):
                self.player.backward(*self.objective(step, part, randomness))
            return self.player.update(step)

    @abstractmethod
    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
