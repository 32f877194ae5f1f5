"""Samplers against densities whose denoiser is known in closed form."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from genlab.core.errors import UsageError
from genlab.families.samplers import SAMPLERS, Denoise, timesteps
from genlab.objectives.diffusion import SCHEDULES, Schedule

CENTRES = torch.tensor([-1.0, 0.0, 1.0]).double()
WEIGHTS = torch.tensor([0.5, 0.2, 0.3]).double()
SPREAD = 0.1


def of_mixture(schedule: Schedule) -> Denoise:
    """E[x | x_k] and the noise that it leaves, where x is from a mixture of three normal densities."""

    def denoise(noisy: Tensor, k: int) -> tuple[Tensor, Tensor]:
        alpha, sigma = schedule.alpha[k], schedule.sigma[k]
        variance = (alpha * SPREAD).square() + sigma.square()
        off = noisy[:, None] - alpha * CENTRES
        shares = torch.softmax(WEIGHTS.log() - off.square() / (2 * variance), dim=1)
        images = CENTRES + alpha * SPREAD**2 / variance * off
        image = (shares * images).sum(1)
        return image, (noisy - alpha * image) / sigma

    return denoise


def walk(
    name: str, schedule: Schedule, levels: list[int], start: Tensor, eta: float = 0.0, seed: int = 0
) -> Tensor:
    draws, noisy = torch.Generator().manual_seed(seed), start

    def draw() -> Tensor:
        return torch.randn(start.shape, generator=draws, dtype=torch.float64)

    for k, below in pairwise(levels):
        noisy = SAMPLERS[name](schedule, of_mixture(schedule), noisy, k, below, draw, eta)
    return noisy


def noise(count: int) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("sampler", "eta", "steps"),
    [("ancestral", 0.0, 1000), ("ddim", 0.0, 250), ("ddim", 1.0, 1000), ("euler", 0.0, 250), ("heun", 0.0, 100)],
)
def test_a_sampler_recovers_a_known_mixture(schedule: str, sampler: str, eta: float, steps: int) -> None:
    table, count = SCHEDULES[schedule](1000), 10_000
    made = walk(sampler, table, timesteps(steps, 1000), noise(count), eta)
    distances = (made[:, None] - CENTRES).abs()
    assert (distances.amin(1) < 4 * SPREAD).double().mean() > 0.995
    shares = torch.bincount(distances.argmin(1), minlength=3) / count
    torch.testing.assert_close(shares.double(), WEIGHTS, rtol=0, atol=0.02)
    for centre, mine in enumerate(WEIGHTS):
        own = made[distances.argmin(1) == centre]
        assert own.mean().item() == pytest.approx(CENTRES[centre].item(), abs=0.01), mine
        assert own.std().item() == pytest.approx(SPREAD, rel=0.1)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [50, 10])
def test_ddim_with_all_noise_is_the_ancestral_sampler(schedule: str, steps: int) -> None:
    """The same numbers from the same draws, at all levels as at some."""
    table, levels = SCHEDULES[schedule](50), timesteps(steps, 50)
    one, two = (walk(name, table, levels, noise(100), eta) for name, eta in (("ddim", 1.0), ("ancestral", 0.0)))
    torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_euler_is_ddim_without_noise(schedule: str) -> None:
    """x_j = x_k + (α_j − α_k) x̂ + (σ_j − σ_k) ε̂, whatever eta is set to."""
    table, levels = SCHEDULES[schedule](100), timesteps(20, 100)
    by_hand, denoise = noise(50), of_mixture(table)
    for k, below in pairwise(levels):
        image, left = denoise(by_hand, k)
        by_hand = by_hand + (table.alpha[below] - table.alpha[k]) * image
        by_hand = by_hand + (table.sigma[below] - table.sigma[k]) * left
    for name, eta in (("euler", 0.0), ("euler", 1.0), ("ddim", 0.0)):
        torch.testing.assert_close(walk(name, table, levels, noise(50), eta), by_hand, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("ddim", 1), ("heun", 2)])
@pytest.mark.parametrize("schedule", ["cosine", "straight"])
def test_the_error_falls_with_the_order_of_the_sampler(schedule: str, sampler: str, order: int) -> None:
    """Half the step, half the error or a quarter of it; between two levels at which all is smooth."""
    table, high, low = SCHEDULES[schedule](4096), 3072, 1024

    def reached(steps: int) -> Tensor:
        size = (high - low) // steps
        return walk(sampler, table, list(range(high, low - 1, -size)), noise(200))

    exact = walk("heun", table, list(range(high, low - 1, -1)), noise(200))
    errors = [(reached(steps) - exact).square().mean().sqrt().item() for steps in (32, 64, 128)]
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.2)


def test_the_same_start_leads_to_the_same_place_whatever_the_sampler() -> None:
    """All flows are one flow, and with many steps they agree."""
    table = SCHEDULES["cosine"](1000)
    euler, heun = (walk(name, table, timesteps(1000, 1000), noise(100)) for name in ("euler", "heun"))
    torch.testing.assert_close(euler, heun, rtol=0, atol=0.02)


@pytest.mark.parametrize(("steps", "levels"), [(1, 1000), (3, 10), (50, 1000), (1000, 1000), (7, 7)])
def test_a_grid_goes_down_to_nothing_in_as_many_steps_as_asked(steps: int, levels: int) -> None:
    places = timesteps(steps, levels)
    assert len(places) == steps + 1
    assert (places[0], places[-1]) == (levels, 0)
    gaps = [above - below for above, below in pairwise(places)]
    assert min(gaps) >= levels // steps
    assert max(gaps) <= -(-levels // steps)


@pytest.mark.parametrize("steps", [0, -1, 11])
def test_a_grid_of_more_steps_than_levels_is_refused(steps: int) -> None:
    with pytest.raises(UsageError, match=rf"^{steps} steps cannot go through 10 levels of noise. Choose 1 to 10"):
        timesteps(steps, 10)


def test_nothing_is_drawn_where_nothing_is_random() -> None:
    def never() -> Tensor:
        raise AssertionError("noise was drawn")

    table = SCHEDULES["linear"](10)
    steps: dict[str, Callable[..., Tensor]] = {name: SAMPLERS[name] for name in ("ddim", "euler", "heun")}
    for step in steps.values():
        assert step(table, of_mixture(table), noise(4), 10, 5, never, 0.0).shape == (4,)
    assert SAMPLERS["ancestral"](table, of_mixture(table), noise(4), 1, 0, never, 0.0).shape == (4,)
