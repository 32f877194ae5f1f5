"""Restoration: a network that undoes a degradation, learned from pictures that are degraded on purpose."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import MASK, NONE, SOURCE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.modality import Modality
from genlab.core.random import Randomness
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.distance import Distance, l1


class Restorer(nn.Module):
    """x̂ = network(y, condition) for a degraded image y; where a mask says that y is known, x̂ is y.

    Args:
        target: modality of the images that it restores.
        conditions: "source", and "mask" if parts of it are missing.
        network: (sources (B, C, h, w), condition) -> images (B, C, H, W).
    """

    def __init__(self, target: Modality, conditions: Mapping[str, Modality], network: nn.Module) -> None:
        super().__init__()
        self.modality, self.conditions = target, conditions
        self.network = network

    def drawn(self, condition: Condition) -> Tensor:
        """Return what the network makes of the sources in `condition`, also where they are known."""
        made: Tensor = self.network(condition[SOURCE], condition)
        return made

    def restore(self, condition: Condition) -> Tensor:
        """Return the restored images (B, C, H, W) in [-1, 1] of sources of any size.

        Pixels that a mask in `condition` says are known come back unchanged.
        """
        made = self.drawn(condition).clamp(-1, 1)
        return made if MASK not in condition else torch.where(condition[MASK] > 0, made, condition[SOURCE])

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return the restored images (count, *shape) of `count` sources; they are not random.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or no source.
        """
        device = next(self.parameters()).device
        return self.restore(fill(self.conditions, condition, count, device))


@dataclass(eq=False)
class RestorationTraining(SingleObjectiveTraining[Restorer]):
    """Minimises the distance of restored images to the originals.

        E d(network(y), x)

    With a mask m, which is 1 where the image is missing, the distance of each pixel has the weight h·m + (1 − m).

    Args:
        distance: d, of each number: (restored, original) -> (B, C, H, W).
        hole_weight: h, of missing pixels beside known ones.
    """

    distance: Distance = l1
    hole_weight: float = 1.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        errors = self.distance(self.model.drawn(batch.condition), batch.x)
        if MASK in batch.condition:
            errors = errors * torch.where(batch.condition[MASK] > 0, self.hole_weight, 1.0)
        loss = errors.mean()
        return loss, {"loss": loss}
