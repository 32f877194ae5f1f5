"""Denoisers: a network that finds the noise in an example.

References:
    Zhang et al., 2017. Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising.
    arXiv:1608.03981.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.contract import Signals
from genlab.core.modality import Modality
from genlab.core.random import Draws, Randomness
from genlab.families.autoencoder import Corruption
from genlab.families.single import SingleObjectiveTraining


class Denoiser(nn.Module):
    """x̂ = y − noise(y) for a corrupted example y.

    Args:
        modality: of the examples.
        network: (corrupted examples (B, *shape)) -> what was added to them (B, *shape).
        corruption: what it learns to undo.
    """

    uses_sigma = False

    def __init__(self, modality: Modality, network: nn.Module, corruption: Corruption) -> None:
        super().__init__()
        self.modality = modality
        self.network = network
        self.corruption = corruption

    def noise(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return what was added to corrupted examples, (B, *shape)."""
        found: Tensor = self.network(x)
        return found

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        """Return the clean examples (B, *shape) in corrupted ones, whatever the strength of the noise."""
        clean = x - self.noise(x)
        return clean.clamp(-1, 1) if self.modality.bounded else clean

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return examples (B, *shape), corrupted as in training."""
        return self.corruption(x, Draws(generator or torch.default_generator, len(x), device=x.device))


@dataclass(eq=False)
class DenoiserTraining(SingleObjectiveTraining[Denoiser]):
    """Minimises the mean squared error of the noise that the network finds, ‖noise(y) − (y − x)‖²."""

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        x = batch.x
        corrupted = self.model.corruption(x, randomness.draws(len(batch), "corruption", step))
        error = self.model.noise(corrupted) - (corrupted - x)
        loss = error.square().mean()
        return loss, {"loss": loss}
