"""Normalising flows: an invertible network between images and noise, and the exact density that comes of it.

References:
    Dinh, Sohl-Dickstein and Bengio, 2017. Density Estimation Using Real NVP. arXiv:1605.08803.
    Kingma and Dhariwal, 2018. Glow: Generative Flow with Invertible 1×1 Convolutions. arXiv:1807.03039.
    Durkan, Bekasov, Murray and Papamakarios, 2019. Neural Spline Flows. arXiv:1906.04032.
    Theis, van den Oord and Bethge, 2016. A note on the evaluation of generative models. arXiv:1511.01844.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from genlab.core.batch import Batch, ImageShape
from genlab.core.contract import Signals
from genlab.core.random import Randomness
from genlab.families.single import SingleObjectiveTraining

LEVELS = 256  # of a byte
EDGE = 0.05  # how far from 0 and 1 pixels are kept before their logit is taken, after Dinh et al.
MIDDLE = 0.5  # of the interval that stands for a byte


class Flow(nn.Module):
    """An invertible network and the prior N(0, 1) over its latents, as many as an image has numbers.

    A byte b becomes the point (b + u)/256 with u uniform in [0, 1), so that a density can be had for it
    (dequantisation), and that its logit, so that it is not bounded. Points of a toy are taken as they are.

    Args:
        network: images (B, C, H, W) to latents (B, C·H·W) and log |det| of the Jacobian, (B,); has an `inverse`.
        shape: of the images.
        temperature: deviation of the latents that samples are made of; below 1 for typical images.
    """

    def __init__(self, network: nn.Module, shape: ImageShape, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.shape = shape
        self.temperature = temperature

    @property
    def latent(self) -> int:
        """How many dimensions the latent has."""
        return math.prod(self.shape)

    @property
    def of_bytes(self) -> bool:
        """Whether its density is one of images of bytes, and not of points."""
        return not self.shape.of_points

    def encode(self, images: Tensor) -> Tensor:
        """Return the latents (B, C·H·W) of images; of a byte, those of the middle of what stands for it."""
        latents: Tensor = self.network(self._unbounded(images, MIDDLE)[0])[0]
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images (B, C, H, W) of latents (B, C·H·W): the inverse of `encode`."""
        points: Tensor = self.network.inverse(latents)  # type: ignore[operator]
        if not self.of_bytes:
            return points
        places = (torch.sigmoid(points) - EDGE) / (1 - 2 * EDGE)
        return ((LEVELS * places - MIDDLE) / (LEVELS - 1) * 2 - 1).clamp(-1, 1)

    def inversion_error(self, images: Tensor) -> Tensor:
        """Return the largest difference between the numbers of each image and of what comes back, (B,)."""
        return (self.decode(self.encode(images)) - images).abs().flatten(1).amax(1)

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from N(0, temperature²), (count, C·H·W)."""
        draws = torch.randn(count, self.latent, generator=generator).to(next(self.parameters()).device)
        return self.temperature * draws

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return the images of `count` draws from the prior, (count, C, H, W)."""
        return self.decode(self.prior(count, generator))

    def evidence_bound(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return log p(x) of points, or for bytes log p of one draw of what stands for them, in nats, (B,).

        The mean over draws is a lower bound on log P(x) of the bytes.
        """
        draws = torch.rand(images.shape, generator=generator).to(images.device) if self.of_bytes else MIDDLE
        return self.log_density(images, draws)[0]

    def log_density(self, images: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return log p of images (B, C, H, W) dequantised by `draws` from [0, 1), (B,), and their latents."""
        points, gained = self._unbounded(images, draws)
        latents, volume = self.network(points)
        normal = -0.5 * (latents.square() + math.log(2 * math.pi)).sum(1)
        return normal + volume + gained, latents

    def _unbounded(self, images: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return what the network works on, and the log-volume that the way there gained, (B,).

        It includes log 256 for each byte: P(b) is the density over (b + u)/256 on an interval of 1/256.
        """
        if not self.of_bytes:
            return images, images.new_zeros(len(images))
        bytes_ = ((images + 1) * ((LEVELS - 1) / 2)).round()
        places = EDGE + (1 - 2 * EDGE) * (bytes_ + draws) / LEVELS
        points = torch.logit(places)
        slopes = -logsigmoid(points) - logsigmoid(-points) + math.log((1 - 2 * EDGE) / LEVELS)
        return points, slopes.flatten(1).sum(1)


@dataclass(eq=False)
class FlowTraining(SingleObjectiveTraining[Flow]):
    """Maximises the likelihood: minimises −log P(x) in bits for each number of an image, for a point in nats."""

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and the root of the mean square of its latents, which nears 1."""
        model, images = self.model, batch.images
        draws = randomness.draws(len(batch), "dequantisation", step).uniform(*images.shape[1:])
        density, latents = model.log_density(images, draws)
        unit = model.latent * math.log(2) if model.of_bytes else 1.0
        loss = -density.mean() / unit
        return loss, {"loss": loss, "latent_rms": latents.detach().square().mean().sqrt()}
