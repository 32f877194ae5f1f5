"""Normalising flows: an invertible network between examples and latents, which gives an exact density.

References:
    Dinh, Sohl-Dickstein and Bengio, 2017. Density Estimation Using Real NVP. arXiv:1605.08803.
    Kingma and Dhariwal, 2018. Glow: Generative Flow with Invertible 1×1 Convolutions. arXiv:1807.03039.
    Durkan, Bekasov, Murray and Papamakarios, 2019. Neural Spline Flows. arXiv:1906.04032.
    Theis, van den Oord and Bethge, 2016. A note on the evaluation of generative models. arXiv:1511.01844.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.dequantisation import MIDDLE
from genlab.core.modality import Modality
from genlab.core.random import Randomness, normal
from genlab.families.single import SingleObjectiveTraining


class Flow(nn.Module):
    """An invertible network with the prior N(0, 1) over its latents, which have as many numbers as an example.

    Discrete values are dequantised by the modality: a byte b becomes the logit of (b + u)/256 with u uniform in
    [0, 1), a category numbers around ±½. Points are used as they are.

    Args:
        network: examples (B, *shape) to latents (B, latent) and log |det| of the Jacobian, (B,); has an `inverse`.
        modality: of the examples.
        temperature: standard deviation of the latents of samples; below 1 for more typical, less diverse samples.
    """

    def __init__(self, network: nn.Module, modality: Modality, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.modality = modality
        self.conditions: Mapping[str, Modality] = {}
        self.temperature = temperature

    @property
    def latent(self) -> int:
        """Number of latent dimensions."""
        return math.prod(self.modality.shape)

    @property
    def levels(self) -> int | None:
        """256 if the likelihood is of bytes, which gives bits per dimension; else None."""
        return self.modality.levels

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the latents (B, latent) of examples (B, *shape), with each byte at the middle of its interval."""
        latents: Tensor = self.network(self.modality.dequantise(x, MIDDLE)[0])[0]
        return latents

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent): the inverse of `encode`."""
        return self.modality.quantise(self.network.inverse(latents))  # type: ignore[operator]

    def inversion_error(self, x: Tensor) -> Tensor:
        """Return max |decode(encode(x)) − x| over the numbers of each example, (B,)."""
        return (self.decode(self.encode(x)) - x).abs().flatten(1).amax(1)

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from the prior N(0, temperature²), (count, latent)."""
        draws = normal(generator, count, self.latent).to(next(self.parameters()).device)
        return self.temperature * draws

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape).

        Raises:
            UsageError: a condition, because flows take none.
        """
        fill(self.conditions, condition, count)
        return self.decode(self.prior(count, generator))

    def evidence_bound(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the evidence lower bound of each example in nats, (B,): for points log p(x), which is exact.

        For discrete values it is log p of one dequantised draw; its mean over draws is a lower bound on log P(x).
        """
        draws = torch.rand(x.shape, generator=generator).to(x.device)
        return self.log_density(x, draws)[0]

    def log_density(self, x: Tensor, draws: Tensor | float, noise: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """Return log p (B,) of examples (B, *shape) dequantised with `draws` in [0, 1), and their latents.

        `noise` is added to the dequantised examples.
        """
        points, gained = self.modality.dequantise(x, draws)
        latents, volume = self.network(points + noise)
        normal = -0.5 * (latents.square() + math.log(2 * math.pi)).sum(1)
        return normal + volume + gained, latents


@dataclass(eq=False)
class FlowTraining(SingleObjectiveTraining[Flow]):
    """Minimises the negative log-likelihood: of bytes in bits per dimension, of points in nats.

    Args:
        noise: standard deviation of the Gaussian noise on dequantised examples, which smooths the density.

    References:
        Rothfuss et al., 2019. Noise Regularization for Conditional Density Estimation. arXiv:1907.08982.
    """

    noise: float = 0.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals.

        Signals: the root mean square of the latents, which approaches 1.
        """
        model, x = self.model, batch.x
        draws = randomness.draws(len(batch), "dequantisation", step).uniform(*x.shape[1:])
        noise = randomness.draws(len(batch), "noise", step).normal(*x.shape[1:]) if self.noise else 0.0
        density, latents = model.log_density(x, draws, self.noise * noise)
        unit = model.latent * math.log(2) if model.levels else 1.0
        loss = -density.mean() / unit
        return loss, {"loss": loss, "latent_rms": latents.detach().square().mean().sqrt()}
