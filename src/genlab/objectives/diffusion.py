"""Between an image and noise: the schedule, what a network predicts of the two, and what its errors cost in nats.

A noisy image is x_k = α_k x + σ_k ε with ε ~ N(0, 1), from the image itself at k = 0 to noise at k = T. Whatever a
network predicts is a sum a·x + b·ε, so that with x_k it gives both, image and noise.

References:
    Sohl-Dickstein et al., 2015. Deep Unsupervised Learning using Nonequilibrium Thermodynamics. arXiv:1503.03585.
    Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239.
    Nichol and Dhariwal, 2021. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672.
    Salimans and Ho, 2022. Progressive Distillation for Fast Sampling of Diffusion Models. arXiv:2202.00512.
    Lipman et al., 2023. Flow Matching for Generative Modeling. arXiv:2210.02747.
    Liu, Gong and Liu, 2023. Flow Straight and Fast: Rectified Flow. arXiv:2209.03003.
    Kingma et al., 2021. Variational Diffusion Models. arXiv:2107.00630.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.special import log_ndtr

LEVELS = 256  # of a byte
BIN = 2 / (LEVELS - 1)  # their distance in [-1, 1]


class Schedule(NamedTuple):
    """α_k and σ_k for k = 0 … T: how much of the image and how much noise there is; α_0 = 1 and σ_0 = 0.

    Tables in float64 on the CPU, because differences of neighbours are small.
    """

    alpha: Tensor  # (T + 1,), falling
    sigma: Tensor  # (T + 1,), rising

    @property
    def steps(self) -> int:
        """T."""
        return len(self.alpha) - 1

    def at(self, k: Tensor, like: Tensor) -> "Schedule":
        """Return α_k and σ_k of k (B,) on the CPU, to be multiplied with `like` (B, …)."""
        shape = (-1, *[1] * (like.ndim - 1))
        return Schedule(*(table[k].view(shape).to(like.device, like.dtype) for table in self))

    def noisy(self, k: Tensor, images: Tensor, noise: Tensor) -> Tensor:
        """Return x_k = α_k x + σ_k ε."""
        alpha, sigma = self.at(k, images)
        return alpha * images + sigma * noise


def linear(steps: int) -> Schedule:
    """σ_k² = 1 − Π_i (1 − β_i) with β from 10⁻⁴ to 0.02, as of 1,000 steps; α_k² = 1 − σ_k²."""
    scale = 1000 / steps
    return _preserving(torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64))


def cosine(steps: int) -> Schedule:
    """α_k² = cos²(π/2 · (k/T + s)/(1 + s)) with s = 0.008, up to a factor that makes α_0 = 1; no β above 0.999."""
    angles = (torch.arange(steps + 1, dtype=torch.float64) / steps + 0.008) / 1.008
    kept = torch.cos(angles * math.pi / 2).square()
    return _preserving(1 - kept[1:] / kept[:-1])


def straight(steps: int) -> Schedule:
    """α_k = 1 − k/T and σ_k = k/T: the straight lines between images and noise of flow matching."""
    sigma = torch.arange(steps + 1, dtype=torch.float64) / steps
    return Schedule(1 - sigma, sigma)


def _preserving(betas: Tensor) -> Schedule:
    """Return the schedule that keeps the variance: each step takes a share β of it and puts noise in its place."""
    kept = torch.cat([betas.new_ones(1), (1 - betas.clamp(max=0.999)).cumprod(0)])
    return Schedule(kept.sqrt(), (1 - kept).sqrt())


SCHEDULES: Mapping[str, Callable[[int], Schedule]] = {"linear": linear, "cosine": cosine, "straight": straight}

Weights: TypeAlias = tuple[Tensor | float, Tensor | float]

# What a network predicts, as the weights a and b of the image and of the noise, given α and σ.
PREDICTIONS: Mapping[str, Callable[[Tensor, Tensor], Weights]] = {
    "noise": lambda alpha, sigma: (0.0, 1.0),
    "image": lambda alpha, sigma: (1.0, 0.0),
    "velocity": lambda alpha, sigma: (-sigma, alpha),
    "flow": lambda alpha, sigma: (-1.0, 1.0),
}


def target(prediction: str, level: Schedule, images: Tensor, noise: Tensor) -> Tensor:
    """Return what the network is to predict, a·x + b·ε, at `level` (of `Schedule.at`)."""
    image_weight, noise_weight = PREDICTIONS[prediction](*level)
    return image_weight * images + noise_weight * noise


def image_and_noise(prediction: str, level: Schedule, noisy: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the image and the noise that a prediction y means: the solution of αx + σε = x_k and ax + bε = y."""
    alpha, sigma = level
    image_weight, noise_weight = PREDICTIONS[prediction](alpha, sigma)
    determinant = alpha * noise_weight - sigma * image_weight
    image = (noise_weight * noisy - sigma * predicted) / determinant
    return image, (alpha * predicted - image_weight * noisy) / determinant


def guess(level: Schedule, images: Tensor, noisy: Tensor) -> Tensor:
    """Return what images are as far as the mean μ and the variance v of each of their numbers tell, (B, C, H, W).

    It is μ + αv/(α²v + σ²) · (x_k − αμ), the posterior mean of N(μ, v): the least that a network should know. Both
    are taken from the batch and one more image of mean 0 and variance 1, so that no batch is too small.
    """
    alpha, sigma = level
    count = len(images) + 1
    mean = images.sum(0) / count
    variance = (images.square().sum(0) + 1) / count - mean.square()
    return mean + alpha * variance / (alpha.square() * variance + sigma.square()) * (noisy - alpha * mean)


def prior_cost(schedule: Schedule, images: Tensor) -> Tensor:
    """Return KL(q(x_T | x) ‖ N(0, 1)) of each image in nats, (B,): what is left of the image in the noise."""
    alpha, sigma = (table[-1].item() for table in schedule)
    kl = 0.5 * ((alpha * images).square() + sigma**2 - 1 - 2 * math.log(sigma))
    return kl.flatten(1).sum(1)


def step_cost(schedule: Schedule, k: Tensor, images: Tensor, predicted: Tensor) -> Tensor:
    """Return KL(q(x_{k−1} | x_k, x) ‖ q(x_{k−1} | x_k, x̂)) of each image in nats, (B,), for k (B,) of 2 … T.

    With the posterior's own variance it is ½ (SNR_{k−1} − SNR_k) ‖x − x̂‖², SNR = α²/σ².
    """
    ratios: list[Tensor] = [(schedule.alpha[place] / schedule.sigma[place]).square() for place in (k - 1, k)]
    weight = (0.5 * (ratios[0] - ratios[1])).to(images.device, images.dtype)
    cost: Tensor = weight * (images - predicted).square().flatten(1).sum(1)
    return cost


def pixel_cost(deviation: float, images: Tensor, predicted: Tensor) -> Tensor:
    """Return −log P(x) of each image of bytes in nats, (B,), given x̂ and a deviation σ.

    P gives a byte what N(x̂, σ²) has between its neighbours' middles; 0 and 255 get all that is beyond them too.
    """
    upper = torch.where(images > 1 - BIN / 2, torch.inf, (images + BIN / 2 - predicted) / deviation)
    lower = torch.where(images < -1 + BIN / 2, -torch.inf, (images - BIN / 2 - predicted) / deviation)
    # Of two tails the smaller keeps its digits: mirror what lies above the mean.
    mirrored = lower > 0
    upper, lower = torch.where(mirrored, -lower, upper), torch.where(mirrored, -upper, lower)
    beyond = log_ndtr(upper.cpu().double())
    inside: Tensor = beyond + torch.log1p(-torch.exp(log_ndtr(lower.cpu().double()) - beyond))
    return -inside.flatten(1).sum(1).to(images.device, images.dtype)


def point_cost(deviation: float, points: Tensor, predicted: Tensor) -> Tensor:
    """Return −log N(x; x̂, σ²) of each point in nats, (B,)."""
    distance = ((points - predicted) / deviation).square()
    return (0.5 * (distance + math.log(2 * math.pi)) + math.log(deviation)).flatten(1).sum(1)
