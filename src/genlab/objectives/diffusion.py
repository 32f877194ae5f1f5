"""Noise schedules, prediction targets, and the terms of the variational bound of diffusion models.

A noisy image is x_t = α x + σ ε with ε ~ N(0, 1), from the image itself at time t = 0 to noise at t = 1. A network
predicts a sum a·x + b·ε, which together with x_t gives both, image and noise. Training and the bound use the T
noise levels t = k/T.

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
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.special import log_ndtr

from genlab.core.errors import UsageError
from genlab.core.parts import Part, Table

LEVELS = 256  # values of a byte
BIN = 2 / (LEVELS - 1)  # the distance of neighbouring bytes in [-1, 1]


class Level(NamedTuple):
    """α and σ of one noise level per image, each (B, 1, …), which broadcast to images (B, …)."""

    alpha: Tensor
    sigma: Tensor


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """How much of the image (α) and how much noise (σ) there is at time t in [0, 1].

    α decreases from α(0) = 1, σ increases from σ(0) = 0. Both are tables at t = k/T for k = 0 … T, in float64 on
    the CPU because differences of neighbours are small. Between two entries they are linear in t.

    Args:
        alphas: (T + 1,), decreasing.
        sigmas: (T + 1,), increasing.
    """

    alphas: Tensor
    sigmas: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.alphas) - 1

    def alpha(self, t: Tensor | float) -> Tensor:
        """Return α at times `t`, float64 on the CPU, in the shape of `t`; at k/T exactly the table's entry."""
        return self._interpolate(self.alphas, t)

    def sigma(self, t: Tensor | float) -> Tensor:
        """Return σ at times `t`, as `alpha` does."""
        return self._interpolate(self.sigmas, t)

    def log_snr(self, t: Tensor | float) -> Tensor:
        """Return the logarithm of the signal-to-noise ratio, log α²/σ², at times `t`."""
        return 2 * (self.alpha(t).log() - self.sigma(t).log())

    def at(self, t: Tensor, like: Tensor) -> Level:
        """Return the levels at times `t` (B,), float64 on the CPU, for images with the shape of `like` (B, …)."""
        shape = (-1, *[1] * (like.ndim - 1))
        return Level(*(value(t).view(shape).to(like.device, like.dtype) for value in (self.alpha, self.sigma)))

    def noisy(self, t: Tensor, images: Tensor, noise: Tensor) -> Tensor:
        """Return x_t = α x + σ ε at times `t` (B,)."""
        alpha, sigma = self.at(t, images)
        return alpha * images + sigma * noise

    def _interpolate(self, table: Tensor, t: Tensor | float) -> Tensor:
        time = torch.as_tensor(t, dtype=torch.float64)
        place = time * self.steps
        nearest = place.round()
        place = torch.where(nearest / self.steps == time, nearest, place)  # k/T · T may miss k
        below, above = table[place.floor().long()], table[place.ceil().long()]
        return below + place.frac() * (above - below)


def linear_beta(steps: int) -> NoiseSchedule:
    """Return the schedule of DDPM.

    σ_k² = 1 − Π_i (1 − β_i) and α_k² = 1 − σ_k², with β from 10⁻⁴ to 0.02, times 1000/T.
    """
    scale = 1000 / steps
    return _preserving(torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64))


def cosine(steps: int) -> NoiseSchedule:
    """Return α_k² ∝ cos²(π/2 · (k/T + s)/(1 + s)) with s = 0.008 and α_0 = 1; β is clipped at 0.999."""
    angles = (torch.arange(steps + 1, dtype=torch.float64) / steps + 0.008) / 1.008
    kept = torch.cos(angles * math.pi / 2).square()
    return _preserving(1 - kept[1:] / kept[:-1])


def straight(steps: int) -> NoiseSchedule:
    """Return α_k = 1 − k/T and σ_k = k/T: the straight lines of flow matching between images and noise."""
    sigma = torch.arange(steps + 1, dtype=torch.float64) / steps
    return NoiseSchedule(1 - sigma, sigma)


def _preserving(betas: Tensor) -> NoiseSchedule:
    """Return the variance-preserving schedule: each step replaces the fraction β of the variance by noise."""
    kept = torch.cat([betas.new_ones(1), (1 - betas.clamp(max=0.999)).cumprod(0)])
    return NoiseSchedule(kept.sqrt(), (1 - kept).sqrt())


def own_schedule(part: Part, own: Mapping[str, Any]) -> Callable[[int], NoiseSchedule]:
    """Return a user's own schedule: a function of T that returns a `NoiseSchedule` or its tables α and σ.

    Raises:
        UsageError: when it is called, if α does not fall from 1 or σ does not rise from 0.
    """
    make = part.bound(own)

    def schedule(steps: int) -> NoiseSchedule:
        made = make(steps)
        if not isinstance(made, NoiseSchedule):
            if not isinstance(made, tuple | list) or len(made) != 2:
                raise UsageError(
                    f'the noise schedule "{part.name}" must return two tables, α and σ, not a '
                    f"{type(made).__name__}."
                )
            made = NoiseSchedule(*(torch.as_tensor(table, dtype=torch.float64) for table in made))
        alphas, sigmas = made.alphas, made.sigmas
        fits = alphas.shape == sigmas.shape == (steps + 1,) and abs(alphas[0] - 1) < 1e-6 and abs(sigmas[0]) < 1e-6
        if not (fits and (alphas.diff() < 0).all() and (sigmas.diff() > 0).all()):
            raise UsageError(
                f'the noise schedule "{part.name}" must return α (falling from 1) and σ (rising from 0) at the '
                f"{steps + 1} times k/{steps}, k = 0 … {steps}, not tables of {tuple(alphas.shape)} and "
                f"{tuple(sigmas.shape)} that begin with {alphas.flatten()[0]:g} and {sigmas.flatten()[0]:g}."
            )
        return made

    return schedule


SCHEDULES: Table[Callable[[int], NoiseSchedule]] = Table(
    "noise-schedule", {"linear": linear_beta, "cosine": cosine, "straight": straight}, own_schedule
)

Weights: TypeAlias = tuple[Tensor | float, Tensor | float]

# The prediction targets, as the weights a and b of the image and of the noise, given α and σ.
PREDICTIONS: Mapping[str, Callable[[Tensor, Tensor], Weights]] = {
    "noise": lambda alpha, sigma: (0.0, 1.0),
    "image": lambda alpha, sigma: (1.0, 0.0),
    "velocity": lambda alpha, sigma: (-sigma, alpha),
    "flow": lambda alpha, sigma: (-1.0, 1.0),
}


def target(prediction: str, level: Level, images: Tensor, noise: Tensor) -> Tensor:
    """Return the target of the network, a·x + b·ε, at `level` (from `NoiseSchedule.at`)."""
    image_weight, noise_weight = PREDICTIONS[prediction](*level)
    return image_weight * images + noise_weight * noise


def image_and_noise(prediction: str, level: Level, noisy: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the image x and the noise ε of a prediction y: they solve αx + σε = x_t and ax + bε = y."""
    alpha, sigma = level
    image_weight, noise_weight = PREDICTIONS[prediction](alpha, sigma)
    determinant = alpha * noise_weight - sigma * image_weight
    image = (noise_weight * noisy - sigma * predicted) / determinant
    return image, (alpha * predicted - image_weight * noisy) / determinant


def gaussian_baseline(level: Level, images: Tensor, noisy: Tensor) -> Tensor:
    """Return the best estimate of the images if pixels were Gaussian and independent, (B, C, H, W).

    It is the posterior mean x̂ = μ + αv/(α²v + σ²) · (x_t − αμ) for N(μ, v). μ and v are the mean and variance of
    each pixel over the batch and one more image with mean 0 and variance 1, which keeps v > 0 in a batch of one.
    """
    alpha, sigma = level
    count = len(images) + 1
    mean = images.sum(0) / count
    variance = (images.square().sum(0) + 1) / count - mean.square()
    return mean + alpha * variance / (alpha.square() * variance + sigma.square()) * (noisy - alpha * mean)


def prior_cost(schedule: NoiseSchedule, images: Tensor) -> Tensor:
    """Return KL(q(x_T | x) ‖ N(0, 1)) of each image in nats, (B,)."""
    alpha, sigma = schedule.alphas[-1].item(), schedule.sigmas[-1].item()
    kl = 0.5 * ((alpha * images).square() + sigma**2 - 1 - 2 * math.log(sigma))
    return kl.flatten(1).sum(1)


def step_cost(schedule: NoiseSchedule, k: Tensor, images: Tensor, predicted: Tensor) -> Tensor:
    """Return KL(q(x_{k−1} | x_k, x) ‖ q(x_{k−1} | x_k, x̂)) of each image in nats, (B,), for k (B,) from 2 to T.

    Both have the variance of the posterior, so it is ½ (SNR_{k−1} − SNR_k) ‖x − x̂‖², SNR = α²/σ².
    """
    ratios: list[Tensor] = [(schedule.alphas[level] / schedule.sigmas[level]).square() for level in (k - 1, k)]
    weight = (0.5 * (ratios[0] - ratios[1])).to(images.device, images.dtype)
    cost: Tensor = weight * (images - predicted).square().flatten(1).sum(1)
    return cost


def pixel_cost(deviation: float, images: Tensor, predicted: Tensor) -> Tensor:
    """Return −log P(x) of each image of bytes in nats, (B,), given x̂ and a standard deviation σ.

    P of a byte is the probability under N(x̂, σ²) of the interval that rounds to it; the intervals of 0 and 255
    extend to infinity.
    """
    upper = torch.where(images > 1 - BIN / 2, torch.inf, (images + BIN / 2 - predicted) / deviation)
    lower = torch.where(images < -1 + BIN / 2, -torch.inf, (images - BIN / 2 - predicted) / deviation)
    # The smaller tail keeps more digits, so intervals above the mean are mirrored.
    mirrored = lower > 0
    upper, lower = torch.where(mirrored, -lower, upper), torch.where(mirrored, -upper, lower)
    beyond = log_ndtr(upper.cpu().double())
    inside: Tensor = beyond + torch.log1p(-torch.exp(log_ndtr(lower.cpu().double()) - beyond))
    return -inside.flatten(1).sum(1).to(images.device, images.dtype)


def point_cost(deviation: float, points: Tensor, predicted: Tensor) -> Tensor:
    """Return −log N(x; x̂, σ²) of each point in nats, (B,)."""
    distance = ((points - predicted) / deviation).square()
    return (0.5 * (distance + math.log(2 * math.pi)) + math.log(deviation)).flatten(1).sum(1)
