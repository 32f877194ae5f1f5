"""A family: a generator without a discriminator, `genlab train energy`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

import genlab
from genlab.architectures.compose import decoder
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import Signals, Training
from genlab.core.distributed import gather
from genlab.core.modality import Modality
from genlab.core.optimizer import adam
from genlab.core.random import Randomness
from genlab.families.single import SingleObjectiveTraining
from genlab.recipes.recipe import LatentRecipe


def energy_distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return 2 E‖x − y‖ − E‖x − x′‖ − E‖y − y′‖ of vectors (B, D), of the batches of all processes."""
    all_ours, all_theirs = gather(ours), gather(theirs)
    others = (len(all_ours) - 1) / len(all_ours)  # a vector and itself are no pair
    within = torch.cdist(ours, all_ours).mean() + torch.cdist(theirs, all_theirs).mean()
    return 2 * torch.cdist(ours, all_theirs).mean() - within / others


class EnergyGenerator(nn.Module):
    """A network from latents of N(0, 1) to examples."""

    conditions: ClassVar[Mapping[str, Modality]] = {}

    def __init__(self, network: nn.Module, modality: Modality, latent: int) -> None:
        super().__init__()
        self.network, self.modality, self.latent = network, modality, latent

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` latents, (count, latent)."""
        return torch.randn(count, self.latent, generator=generator).to(next(self.parameters()).device)

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent)."""
        return self.modality.squash(self.network(latents))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples."""
        fill(self.conditions, condition, count)  # refuses any
        return self.decode(self.prior(count, generator))


class EnergyTraining(SingleObjectiveTraining[EnergyGenerator]):
    """Minimises the energy distance between a batch of samples and a batch of data."""

    def objective(self, step: int, batch: genlab.Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the loss of a batch, and its signals."""
        latents = randomness.draws(len(batch), "latents", step).normal(self.model.latent)
        loss = energy_distance(self.model.decode(latents).flatten(1), batch.x.flatten(1))
        return loss, {"loss": loss}


@genlab.part("family", "energy")
@dataclass(frozen=True)
class EnergyRecipe(LatentRecipe):
    """Generator trained by the energy distance of samples and data (Székely and Rizzo, 2013).

    It is a generative moment matching network (Li et al., 2015, arXiv:1502.02761) with another distance.
    """

    family: ClassVar[str] = "energy"
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    batch_size: int = genlab.option(256, "images per step; raise it to estimate the distance better", least=2)
    lr: float = genlab.option(1e-3, "learning rate of Adam; lower it if the loss diverges", above=0)
    betas: tuple[float, float] = genlab.option((0.9, 0.999), "β₁ and β₂ of Adam", least=0, most=0.9999)

    def model(self, spec: genlab.DataSpec) -> nn.Module:
        """Return an `EnergyGenerator` with any architecture of genlab's or of a user's."""
        shape = {"depth": self.depth, "own": self.own}
        network = decoder(self.architecture, self.latent, spec.target, self.width, **shape)
        return EnergyGenerator(network, spec.target, self.latent)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return an `EnergyTraining`."""
        player = self.player("energy", model, adam(model, "energy", self.lr, self.betas))
        return EnergyTraining(model, player, randomness, self.accumulate)
