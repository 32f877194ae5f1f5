"""Restoration: a network that undoes a degradation, learned from pictures that are degraded on purpose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

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
        return completed(self.drawn(condition).clamp(-1, 1), condition)

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return the restored images (count, *shape) of `count` sources; they are not random.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or no source.
        """
        device = next(self.parameters()).device
        return self.restore(fill(self.conditions, condition, count, device))


Terms: TypeAlias = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""Further losses of restored images and originals (B, C, H, W), weighted, by the names of their signals."""


@dataclass(frozen=True)
class Fidelity:
    """How far restored images are from the originals: a distance of pixels, and further terms.

        w E[Σᵢ wᵢ d(x̂ᵢ, xᵢ) / Σᵢ wᵢ] + terms

    The mean over the numbers i of an image is weighted by a mask: wᵢ is `hole_weight` where the image is missing
    and `known_weight` elsewhere. The terms are those of images whose known pixels are the originals'.

    Args:
        distance: d, of each number: (restored, original) -> (B, C, H, W).
        pixel_weight: w.
        hole_weight: of missing pixels.
        known_weight: of known pixels beside a hole.
        terms: further losses.
    """

    distance: Distance = l1
    pixel_weight: float = 1.0
    hole_weight: float = 1.0
    known_weight: float = 1.0
    terms: Terms | None = None

    def __call__(self, made: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of what a network made (B, C, H, W) of a batch, by the names of their signals."""
        errors = self.distance(made, batch.x).mean(1, keepdim=True)
        weights = torch.ones_like(errors)
        if MASK in batch.condition:
            weights = torch.where(batch.condition[MASK] > 0, self.hole_weight, self.known_weight)
        pixels = (weights * errors).sum((1, 2, 3)) / weights.sum((1, 2, 3)).clamp(min=1e-9)
        losses = {"pixel_loss": self.pixel_weight * pixels.mean()}
        if self.terms is not None:
            losses |= self.terms(completed(made, batch.condition), batch.x)
        return losses


def completed(made: Tensor, condition: Condition) -> Tensor:
    """Return images (B, C, H, W): `made`, but the source where a mask in `condition` says that it is known."""
    return made if MASK not in condition else torch.where(condition[MASK] > 0, made, condition[SOURCE])


@dataclass(eq=False)
class RestorationTraining(SingleObjectiveTraining[Restorer]):
    """Minimises the distance of restored images to the originals.

    Args:
        fidelity: the distance.
    """

    fidelity: Fidelity = Fidelity()

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        losses = self.fidelity(self.model.drawn(batch.condition), batch)
        loss = torch.stack(list(losses.values())).sum()
        return loss, {"loss": loss, **(losses if len(losses) > 1 else {})}
