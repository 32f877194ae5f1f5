"""Samplers: they go from noise to images, given a denoiser.

A sampler goes from time t = 1 (noise) to t = 0 (the image) in any number of steps. It is a frozen dataclass of its
options; what a multistep method remembers is kept in the `Trajectory` of a call.

References:
    Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239.
    Song, Meng and Ermon, 2021. Denoising Diffusion Implicit Models. arXiv:2010.02502.
    Song et al., 2021. Score-Based Generative Modeling through Stochastic Differential Equations. arXiv:2011.13456.
    Salimans and Ho, 2022. Progressive Distillation for Fast Sampling of Diffusion Models. arXiv:2202.00512.
    Karras, Aittala, Aila and Laine, 2022. Elucidating the Design Space of Diffusion Models. arXiv:2206.00364.
    Lu et al., 2022. DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models.
        arXiv:2211.01095.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor

from genlab.core.errors import UsageError
from genlab.core.parts import Part, Table, calling
from genlab.objectives.diffusion import NoiseSchedule

Denoiser: TypeAlias = Callable[[Tensor, float], tuple[Tensor, Tensor]]  # (x_t, t) -> image x̂, noise ε̂


class Prediction(NamedTuple):
    """The image that a denoiser predicted, and the time at which it did."""

    time: float
    image: Tensor


@dataclass
class Trajectory:
    """The state of one sampling call.

    Args:
        schedule: the noise schedule.
        denoiser: returns the image x̂ and the noise ε̂ in x_t.
        draw: returns standard normal noise in the shape of x_t.
        last: the prediction of the previous step, kept by multistep samplers.
    """

    schedule: NoiseSchedule
    denoiser: Denoiser
    draw: Callable[[], Tensor]
    last: Prediction | None = None


@dataclass(frozen=True)
class Sampler(ABC):
    """A sampling method; its fields are its options."""

    name: ClassVar[str]

    def times(self, schedule: NoiseSchedule, steps: int) -> list[float]:
        """Return the `steps` + 1 times of the sampler, from 1 to 0.

        By default they are noise levels k/T of training, spaced as evenly as possible.

        Raises:
            UsageError: fewer than one step, or more steps than levels.
        """
        return [k / schedule.steps for k in even_levels(steps, schedule.steps)]

    @abstractmethod
    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Return x_s (B, …), given `noisy`, which is x_t (B, …), and s < t."""


def generate(
    sampler: Sampler,
    path: Trajectory,
    noise: Tensor,
    times: Sequence[float],
    progress_callback: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return the examples (B, …) that `sampler` makes from `noise` (B, …) at decreasing `times`.

    After each step the callback is called with the number of steps taken and the total.
    """
    noisy = noise
    for number, (t, s) in enumerate(pairwise(times), 1):
        noisy = sampler.step(path, noisy, t, s)
        if progress_callback:
            progress_callback(number, len(times) - 1)
    return noisy


def even_levels(steps: int, levels: int) -> list[int]:
    """Return `steps` + 1 noise levels from `levels` to 0, whole numbers spaced as evenly as possible.

    Raises:
        UsageError: fewer than one step, or more steps than levels.
    """
    _check(steps, levels)
    return [round(place) for place in torch.linspace(levels, 0, steps + 1, dtype=torch.float64).tolist()]


def angular_levels(schedule: NoiseSchedule, steps: int) -> list[int]:
    """Return `steps` + 1 noise levels from T to 0, which are closer to each other near the image.

    They are the distinct levels nearest to the angles φ_i = φ_T (1 − i/n)^1.5, with φ = arctan(σ/α) as in Salimans
    and Ho (2022). Their noise hardly depends on the schedule.

    Raises:
        UsageError: fewer than one step, or more steps than levels.
    """
    _check(steps, schedule.steps)
    angles, levels = torch.atan2(schedule.sigmas, schedule.alphas), [schedule.steps]
    for left in range(steps - 1, -1, -1):
        nearest = (angles - angles[-1] * (left / steps) ** 1.5).abs().argmin().item()
        levels.append(max(min(int(nearest), levels[-1] - 1), left))
    return levels


@dataclass(frozen=True)
class Ancestral(Sampler):
    """DDPM: draws x_s from q(x_s | x_t, x̂), the posterior of the forward process given the predicted image."""

    name = "ancestral"

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Draw x_s; the last step takes the mean."""
        image, _ = path.denoiser(noisy, t)
        alpha, sigma, kept, added = between(path.schedule, t, s)
        sigma_t = path.schedule.sigma(t)
        mean = (kept * sigma.square() / sigma_t.square()) * noisy
        mean = mean + (alpha * added.square() / sigma_t.square()) * image
        return mean + (added * sigma / sigma_t) * path.draw() if s else mean


@dataclass(frozen=True)
class DDIM(Sampler):
    """DDIM: x_s = α_s x̂ + √(σ_s² − ς²) ε̂ + ς z with z ~ N(0, 1).

    Args:
        eta: η, the fraction of the posterior's standard deviation: ς = η √Var q(x_s | x_t, x̂). With 0 only the
            initial noise is random; with 1 x_s is distributed as in `Ancestral`.
    """

    name = "ddim"

    eta: float = 0.0

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Take the step of equation 12."""
        image, noise = path.denoiser(noisy, t)
        alpha, sigma, _, added = between(path.schedule, t, s)
        fresh = self.eta * added * sigma / path.schedule.sigma(t)
        made = alpha * image + (sigma.square() - fresh.square()).clamp(min=0).sqrt() * noise
        return made + fresh * path.draw() if self.eta and s else made


@dataclass(frozen=True)
class Euler(Sampler):
    """Euler's method for the ODE from noise to images, dx = x̂ dα + ε̂ dσ: DDIM with η = 0."""

    name = "euler"

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Take a step along the slope at t."""
        return DDIM().step(path, noisy, t, s)


@dataclass(frozen=True)
class Heun(Sampler):
    """Heun's method for the same ODE, with the mean of the slopes at t and at Euler's x_s.

    It is of second order and takes two passes a step.
    """

    name = "heun"

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Take a step along the mean slope; the last step is Euler's, because x̂ and ε̂ are undefined at s = 0."""
        image, noise = path.denoiser(noisy, t)
        reached = _along(path.schedule, noisy, (t, s), image, noise)
        if s == 0:
            return reached
        next_image, next_noise = path.denoiser(reached, s)
        return _along(path.schedule, noisy, (t, s), (image + next_image) / 2, (noise + next_noise) / 2)


@dataclass(frozen=True)
class DPMSolver2M(Sampler):
    """DPM-Solver++(2M): second order with one pass a step, from the predictions of two steps.

    With λ = log α/σ, u the previous time, h = λ_s − λ_t and r = (λ_t − λ_u)/h it is algorithm 2 of Lu et al.:

        D = (1 + 1/(2r)) x̂_t − 1/(2r) x̂_u,  x_s = σ_s/σ_t x_t − α_s (e^{−h} − 1) D

    The first and the last step are of first order, D = x̂_t; the last one returns x_0 = x̂_t exactly. Its times
    come from `angular_levels`.
    """

    name = "dpm++2m"

    def times(self, schedule: NoiseSchedule, steps: int) -> list[float]:
        """Return the `steps` + 1 times, which are closer to each other near the image, where λ changes fastest."""
        return [k / schedule.steps for k in angular_levels(schedule, steps)]

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Take a step of algorithm 2 and remember its prediction."""
        schedule, last = path.schedule, path.last
        image, _ = path.denoiser(noisy, t)
        path.last = Prediction(t, image)
        if last and s:
            ahead = schedule.log_snr(s) - schedule.log_snr(t)
            behind = schedule.log_snr(t) - schedule.log_snr(last.time)  # infinite from pure noise: first order
            image = image + ahead / (2 * behind) * (image - last.image)
        shrunk = schedule.sigma(s) / schedule.sigma(t)
        return (
            shrunk * noisy + (schedule.alpha(s) - shrunk * schedule.alpha(t)) * image
        )  # α_s e^{−h} = shrunk · α_t


def own_sampler(part: Part, own: Mapping[str, Any]) -> Callable[..., Sampler]:
    """Return a user's own sampler: a subclass of `Sampler`, or a function (path, noisy, t, s) -> x_s.

    Raises:
        UsageError: it is neither.
    """
    bound = part.bound(own)
    if inspect.isclass(part.value) and issubclass(part.value, Sampler):
        return lambda: OwnSampler(part, made := bound(), made.step)
    if not inspect.isfunction(part.value):
        raise UsageError(
            f'the sampler "{part.name}" must be a subclass of genlab.Sampler, or a function (path, noisy, t, s) '
            f"that returns x_s, not a {type(part.value).__name__}."
        )
    return lambda: OwnSampler(part, None, bound)


@dataclass(frozen=True)
class OwnSampler(Sampler):
    """A user's sampler: the `sampler` whose times it takes, if it has any, and the function of its step."""

    part: Part
    sampler: Sampler | None
    function: Callable[[Trajectory, Tensor, float, float], Tensor]

    def times(self, schedule: NoiseSchedule, steps: int) -> list[float]:
        """Return the times of the user's sampler, or those of all samplers."""
        with calling(self.part):
            return self.sampler.times(schedule, steps) if self.sampler else super().times(schedule, steps)

    def step(self, path: Trajectory, noisy: Tensor, t: float, s: float) -> Tensor:
        """Return what the user's sampler does.

        Raises:
            GenlabError: it has raised something.
        """
        with calling(self.part):
            return self.function(path, noisy, t, s)


SAMPLERS: Table[Callable[..., Sampler]] = Table(
    "sampler",
    {"ancestral": Ancestral, "ddim": DDIM, "euler": Euler, "heun": Heun, "dpm++2m": DPMSolver2M},
    own_sampler,
)


def _check(steps: int, levels: int) -> None:
    if not 1 <= steps <= levels:
        raise UsageError(f"{steps} steps do not fit into {levels} noise levels. Choose 1 to {levels}.")


def _along(
    schedule: NoiseSchedule, noisy: Tensor, times: tuple[float, float], image: Tensor, noise: Tensor
) -> Tensor:
    """Return x_t + (α_s − α_t) x̂ + (σ_s − σ_t) ε̂."""
    t, s = times
    return (
        noisy + (schedule.alpha(s) - schedule.alpha(t)) * image + (schedule.sigma(s) - schedule.sigma(t)) * noise
    )


def between(schedule: NoiseSchedule, t: float, s: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return α_s, σ_s and, of the forward process from s to t, the factor α_t/α_s and the σ of the added noise."""
    alpha, sigma = schedule.alpha(s), schedule.sigma(s)
    kept = schedule.alpha(t) / alpha
    added = (schedule.sigma(t).square() - (kept * sigma).square()).clamp(min=0).sqrt()
    return alpha, sigma, kept, added
