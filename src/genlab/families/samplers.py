"""From noise to images, given a network that tells the image from the noise.

Each sampler walks down a grid of noise levels k = T … 0, with as many steps as one wants to pay for.

References:
    Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239.
    Song, Meng and Ermon, 2021. Denoising Diffusion Implicit Models. arXiv:2010.02502.
    Song et al., 2021. Score-Based Generative Modeling through Stochastic Differential Equations. arXiv:2011.13456.
    Karras, Aittala, Aila and Laine, 2022. Elucidating the Design Space of Diffusion Models. arXiv:2206.00364.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.errors import UsageError
from genlab.objectives.diffusion import Schedule

Denoise: TypeAlias = Callable[[Tensor, int], tuple[Tensor, Tensor]]  # x_k and k to the image and the noise in it
Draw: TypeAlias = Callable[[], Tensor]  # normal noise, shaped as what is sampled
Step: TypeAlias = Callable[[Schedule, Denoise, Tensor, int, int, Draw, float], Tensor]


def timesteps(steps: int, levels: int) -> list[int]:
    """Return `steps` + 1 noise levels from `levels` to 0, as evenly as whole numbers allow.

    Raises:
        UsageError: more steps than levels, of which some would lead nowhere, or none at all.
    """
    if not 1 <= steps <= levels:
        raise UsageError(f"{steps} steps cannot go through {levels} levels of noise. Choose 1 to {levels}.")
    return [round(place) for place in torch.linspace(levels, 0, steps + 1, dtype=torch.float64).tolist()]


def ancestral(
    schedule: Schedule, denoise: Denoise, noisy: Tensor, k: int, below: int, draw: Draw, eta: float
) -> Tensor:
    """Draw x_j from q(x_j | x_k, x̂), the posterior of the forward process at the image that is predicted."""
    image, _ = denoise(noisy, k)
    alpha, sigma, kept, added = _between(schedule, k, below)
    mean = (kept * sigma.square() / schedule.sigma[k].square()) * noisy
    mean = mean + (alpha * added.square() / schedule.sigma[k].square()) * image
    return mean + (added * sigma / schedule.sigma[k]) * draw() if below else mean


def ddim(
    schedule: Schedule, denoise: Denoise, noisy: Tensor, k: int, below: int, draw: Draw, eta: float
) -> Tensor:
    """Return x_j = α_j x̂ + √(σ_j² − ς²) ε̂ + ς z, with ς = η times the deviation of the posterior q(x_j | x_k, x̂).

    With η = 1 it draws from the same distribution as `ancestral`; with η = 0 nothing is random but the start.
    """
    image, noise = denoise(noisy, k)
    alpha, sigma, _, added = _between(schedule, k, below)
    fresh = eta * added * sigma / schedule.sigma[k]
    made = alpha * image + (sigma.square() - fresh.square()).clamp(min=0).sqrt() * noise
    return made + fresh * draw() if eta and below else made


def euler(
    schedule: Schedule, denoise: Denoise, noisy: Tensor, k: int, below: int, draw: Draw, eta: float
) -> Tensor:
    """Follow dx = x̂ dα + ε̂ dσ, the flow from noise to images, along its slope at k: `ddim` with η = 0."""
    return ddim(schedule, denoise, noisy, k, below, draw, 0.0)


def heun(
    schedule: Schedule, denoise: Denoise, noisy: Tensor, k: int, below: int, draw: Draw, eta: float
) -> Tensor:
    """Follow that flow along the mean of its slopes at k and where Euler's step leads: two passes, error O(h²).

    The last step is Euler's: without noise there is none to tell from the image.
    """
    image, noise = denoise(noisy, k)
    reached = _along(schedule, noisy, k, below, image, noise)
    if below == 0:
        return reached
    next_image, next_noise = denoise(reached, below)
    return _along(schedule, noisy, k, below, (image + next_image) / 2, (noise + next_noise) / 2)


SAMPLERS: Mapping[str, Step] = {"ancestral": ancestral, "ddim": ddim, "euler": euler, "heun": heun}


def _along(schedule: Schedule, noisy: Tensor, k: int, below: int, image: Tensor, noise: Tensor) -> Tensor:
    """Return x_k + (α_j − α_k) x̂ + (σ_j − σ_k) ε̂."""
    alpha, sigma = (column[below] - column[k] for column in schedule)
    return noisy + alpha * image + sigma * noise


def _between(schedule: Schedule, k: int, below: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return α_j, σ_j, and of the forward process from j to k the factor α_k/α_j and the noise that it adds."""
    alpha, sigma = schedule.alpha[below], schedule.sigma[below]
    kept = schedule.alpha[k] / alpha
    added = (schedule.sigma[k].square() - (kept * sigma).square()).clamp(min=0).sqrt()
    return alpha, sigma, kept, added
