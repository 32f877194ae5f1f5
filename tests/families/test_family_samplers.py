"""Samplers against densities whose denoiser is known in closed form."""

import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from genlab.core.errors import UsageError
from genlab.families.samplers import (
    DDIM,
    SAMPLERS,
    Ancestral,
    Denoiser,
    DPMSolver2M,
    Euler,
    Heun,
    Sampler,
    Trajectory,
    angular_levels,
    even_levels,
    generate,
)
from genlab.objectives.diffusion import SCHEDULES, NoiseSchedule

CENTRES = torch.tensor([-1.0, 0.0, 1.0]).double()
WEIGHTS = torch.tensor([0.5, 0.2, 0.3]).double()
SPREAD = 0.1
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES)
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


def of_mixture(schedule: NoiseSchedule, spread: float = SPREAD) -> Denoiser:
    """E[x | x_t] and the noise that it leaves, where x is from a mixture of three normal densities."""

    def denoise(noisy: Tensor, t: float) -> tuple[Tensor, Tensor]:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        variance = (alpha * spread).square() + sigma.square()
        off = noisy[:, None] - alpha * CENTRES
        shares = torch.softmax(WEIGHTS.log() - off.square() / (2 * variance), dim=1)
        images = CENTRES + alpha * spread**2 / variance * off
        image = (shares * images).sum(1)
        return image, (noisy - alpha * image) / sigma

    return denoise


def walk(
    sampler: Sampler, schedule: NoiseSchedule, times: list[float], start: Tensor, spread: float = SPREAD
) -> Tensor:
    draws = torch.Generator().manual_seed(0)

    def draw() -> Tensor:
        return torch.randn(start.shape, generator=draws, dtype=torch.float64)

    return generate(sampler, Trajectory(schedule, of_mixture(schedule, spread), draw), start, times)


def cumulative(points: Tensor, alpha: float, sigma: float, spread: float) -> Tensor:
    """P(x_t ≤ points) of the mixture at a level of noise."""
    deviation = math.hypot(alpha * spread, sigma)
    return (WEIGHTS * torch.special.ndtr((points[:, None] - alpha * CENTRES) / deviation)).sum(1)


def exact(schedule: NoiseSchedule, start: Tensor, spread: float) -> Tensor:
    """Where the flow leads from `start`: in one dimension it keeps the share of the mass below each point."""
    below = cumulative(start, schedule.alpha(1.0).item(), schedule.sigma(1.0).item(), spread)
    low, high = torch.full_like(start, -4), torch.full_like(start, 4)
    for _ in range(60):
        middle = (low + high) / 2
        short = cumulative(middle, 1.0, 0.0, spread) < below
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return low


def noise(count: int) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


@every_schedule
@pytest.mark.parametrize(
    ("sampler", "steps"),
    [
        (Ancestral(), 1000),
        (DDIM(), 250),
        pytest.param(DDIM(1.0), 1000, marks=pytest.mark.slow),  # the ancestral sampler, as a test below shows
        (Euler(), 250),
        (Heun(), 100),
        (DPMSolver2M(), 30),
    ],
)
def test_a_sampler_recovers_a_known_mixture(schedule: str, sampler: Sampler, steps: int) -> None:
    table, count = SCHEDULES[schedule](1000), 4000
    start = torch.special.ndtri((torch.arange(count).double() + 0.5) / count)  # noise without sampling error
    made = walk(sampler, table, sampler.times(table, steps), start)
    distances = (made[:, None] - CENTRES).abs()
    assert (distances.amin(1) < 4 * SPREAD).double().mean() > 0.995
    shares = torch.bincount(distances.argmin(1), minlength=3) / count
    torch.testing.assert_close(shares.double(), WEIGHTS, rtol=0, atol=0.02)
    for centre, mine in enumerate(WEIGHTS):
        own = made[distances.argmin(1) == centre]
        assert own.mean().item() == pytest.approx(CENTRES[centre].item(), abs=0.01), mine
        assert own.std().item() == pytest.approx(SPREAD, rel=0.1)


@every_schedule
@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_dpm_solver_in_16_steps_is_nearer_to_the_flow_than_ddim_in_50(schedule: str, spread: float) -> None:
    """At the ends of single trajectories, and as a distribution (Wasserstein-1)."""
    table, start = SCHEDULES[schedule](1000), noise(2000)
    ends, errors = exact(table, start, spread), []
    for sampler, steps in ((DPMSolver2M(), 16), (DDIM(), 50)):
        made = walk(sampler, table, sampler.times(table, steps), start, spread)
        sorted_error = (made.sort().values - ends.sort().values).abs().mean().item()
        errors.append(((made - ends).square().mean().sqrt().item(), sorted_error))
    assert errors[0][0] < errors[1][0]
    assert errors[0][1] < errors[1][1]


@every_schedule
@pytest.mark.parametrize("steps", [50, 10])
def test_ddim_with_all_noise_is_the_ancestral_sampler(schedule: str, steps: int) -> None:
    """The same numbers from the same draws, at all levels as at some."""
    table = SCHEDULES[schedule](50)
    times = Ancestral().times(table, steps)
    one, two = (walk(sampler, table, times, noise(100)) for sampler in (DDIM(1.0), Ancestral()))
    torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


@every_schedule
def test_euler_is_ddim_without_noise(schedule: str) -> None:
    """x_s = x_t + (α_s − α_t) x̂ + (σ_s − σ_t) ε̂."""
    table = SCHEDULES[schedule](100)
    times, by_hand, denoise = Euler().times(table, 20), noise(50), of_mixture(table)
    for t, s in pairwise(times):
        image, left = denoise(by_hand, t)
        by_hand = by_hand + (table.alpha(s) - table.alpha(t)) * image
        by_hand = by_hand + (table.sigma(s) - table.sigma(t)) * left
    for sampler in (Euler(), DDIM()):
        torch.testing.assert_close(walk(sampler, table, times, noise(50)), by_hand, rtol=1e-9, atol=1e-9)


@every_schedule
def test_two_steps_of_dpm_solver_are_those_of_the_paper(schedule: str) -> None:
    """x_s = σ_s/σ_t x_t − α_s (e^{−h} − 1) D, of the first order at first and of the second then."""
    table, start = SCHEDULES[schedule](100), noise(50)
    denoise, (t0, t1, t2) = of_mixture(table), (0.8, 0.5, 0.4)
    lambdas = [(table.alpha(t) / table.sigma(t)).log() for t in (t0, t1, t2)]
    h1, h2 = (after - before for before, after in pairwise(lambdas))
    image0, _ = denoise(start, t0)
    reached = table.sigma(t1) / table.sigma(t0) * start - table.alpha(t1) * torch.expm1(-h1) * image0
    image1, _ = denoise(reached, t1)
    r = h1 / h2
    direction = (1 + 1 / (2 * r)) * image1 - 1 / (2 * r) * image0
    reached = table.sigma(t2) / table.sigma(t1) * reached - table.alpha(t2) * torch.expm1(-h2) * direction
    found = walk(DPMSolver2M(), table, [t0, t1, t2], start)
    torch.testing.assert_close(found, reached, rtol=1e-9, atol=1e-9)


@every_schedule
def test_the_last_step_of_dpm_solver_returns_the_predicted_image(schedule: str) -> None:
    table, start = SCHEDULES[schedule](100), noise(50)
    before = walk(DPMSolver2M(), table, [0.5, 0.3, 0.1], start)
    after = walk(DPMSolver2M(), table, [0.5, 0.3, 0.1, 0.0], start)
    torch.testing.assert_close(after, of_mixture(table)(before, 0.1)[0], rtol=0, atol=0)


def test_nothing_is_remembered_from_one_call_to_the_next() -> None:
    sampler, table = DPMSolver2M(), SCHEDULES["cosine"](100)
    one, two = (walk(sampler, table, sampler.times(table, 8), noise(20)) for _ in range(2))
    assert torch.equal(one, two)


HIGH, LOW = 3072, 1024  # of 4096 levels: between these all is smooth


def between(schedule: str, sampler: Sampler, steps: int) -> Tensor:
    """Where `sampler` leads from level `HIGH` to level `LOW`."""
    times = [k / 4096 for k in range(HIGH, LOW - 1, -(HIGH - LOW) // steps)]
    return walk(sampler, SCHEDULES[schedule](4096), times, noise(200))


@cache
def nearly_exact(schedule: str) -> Tensor:
    return between(schedule, Heun(), 1024)


@pytest.mark.parametrize(("sampler", "order"), [(Euler(), 1), (DDIM(), 1), (Heun(), 2), (DPMSolver2M(), 2)])
@pytest.mark.parametrize("schedule", ["cosine", "straight"])
def test_the_error_falls_with_the_order_of_the_sampler(schedule: str, sampler: Sampler, order: int) -> None:
    """Half the step, half the error or a quarter of it."""
    end = nearly_exact(schedule)
    errors = [(between(schedule, sampler, steps) - end).square().mean().sqrt().item() for steps in (32, 64, 128)]
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.2)


def test_the_same_start_leads_to_the_same_place_whatever_the_sampler() -> None:
    """All flows are one flow, and with many steps they agree."""
    table = SCHEDULES["cosine"](1000)
    end = walk(Heun(), table, Heun().times(table, 1000), noise(100))
    for sampler in (Euler(), DPMSolver2M()):
        made = walk(sampler, table, sampler.times(table, 1000), noise(100))
        torch.testing.assert_close(made, end, rtol=0, atol=0.02)


@every_sampler
@every_schedule
@pytest.mark.parametrize(("steps", "levels"), [(1, 1000), (3, 10), (50, 1000), (400, 1000), (1000, 1000), (7, 7)])
def test_times_fall_from_one_to_zero_by_levels_in_as_many_steps_as_asked(
    schedule: str, sampler: str, steps: int, levels: int
) -> None:
    times = SAMPLERS[sampler]().times(SCHEDULES[schedule](levels), steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (1, 0)
    assert all(above > below for above, below in pairwise(times))
    assert set(times) <= {k / levels for k in range(levels + 1)}


@pytest.mark.parametrize(("steps", "levels"), [(3, 10), (50, 1000), (7, 7)])
def test_even_levels_are_as_even_as_whole_numbers_allow(steps: int, levels: int) -> None:
    gaps = [above - below for above, below in pairwise(even_levels(steps, levels))]
    assert min(gaps) >= levels // steps
    assert max(gaps) <= -(-levels // steps)


@every_schedule
def test_angular_levels_have_the_same_noise_with_every_schedule(schedule: str) -> None:
    table = SCHEDULES[schedule](1000)
    levels = torch.tensor(angular_levels(table, 10))
    angles = torch.atan2(table.sigmas, table.alphas)[levels] / (math.pi / 2)
    torch.testing.assert_close(angles, torch.linspace(1, 0, 11).double() ** 1.5, rtol=0, atol=0.005)


@every_sampler
@pytest.mark.parametrize("steps", [0, -1, 11])
def test_more_steps_than_levels_are_refused(sampler: str, steps: int) -> None:
    with pytest.raises(UsageError, match=rf"^{steps} steps do not fit into 10 noise levels. Choose 1 to 10"):
        SAMPLERS[sampler]().times(SCHEDULES["cosine"](10), steps)


def test_nothing_is_drawn_where_nothing_is_random() -> None:
    def never() -> Tensor:
        raise AssertionError("noise was drawn")

    table = SCHEDULES["linear"](10)
    for name in SAMPLERS.keys() - {"ancestral"}:
        path = Trajectory(table, of_mixture(table), never)
        assert SAMPLERS[name]().step(path, noise(4), 1.0, 0.5).shape == (4,)
    assert Ancestral().step(Trajectory(table, of_mixture(table), never), noise(4), 0.1, 0.0).shape == (4,)
