"""The training of a discriminator and a generator against each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from genlab.core.player import Player
from genlab.core.random import Randomness
from genlab.objectives.adversarial import AdversarialLoss

M = TypeVar("M", bound=nn.Module)


@dataclass(eq=False)
class TwoPlayerTraining(Generic[M]):
    """What all such trainings have; a subclass adds the step.

    Args:
        model: all networks.
        discriminator: the player of the discriminator.
        generator: the player of the generator.
        loss: the adversarial losses of discriminators and generators.
        randomness: of all draws of a step.
    """

    model: M
    discriminator: Player
    generator: Player
    loss: AdversarialLoss
    randomness: Randomness

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers of discriminators and generators, by name."""
        return {player.name: player.optimizer for player in (self.discriminator, self.generator)}
