"""Between images and noise: closed forms, conversions that lose nothing, and a bound that is one."""

import math
from itertools import pairwise

import pytest
import torch

from genlab.objectives.diffusion import (
    BIN,
    PREDICTIONS,
    SCHEDULES,
    NoiseSchedule,
    gaussian_baseline,
    image_and_noise,
    pixel_cost,
    point_cost,
    prior_cost,
    step_cost,
    target,
)

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@every_schedule
@pytest.mark.parametrize("steps", [2, 100, 1000])
def test_a_schedule_goes_from_the_image_to_noise(name: str, steps: int) -> None:
    schedule = SCHEDULES[name](steps)
    assert schedule.steps == steps
    assert (schedule.alphas[0], schedule.sigmas[0]) == (1, 0)
    assert (schedule.alphas.diff() < 0).all()
    assert (schedule.sigmas.diff() > 0).all()
    if name != "straight":
        torch.testing.assert_close(
            schedule.alphas.square() + schedule.sigmas.square(), torch.ones(steps + 1).double()
        )
    if steps >= 100:
        assert schedule.alphas[-1] < 0.01
        assert schedule.sigmas[-1] == pytest.approx(1, abs=1e-4)


@every_schedule
@pytest.mark.parametrize("steps", [7, 100, 1000])
def test_levels_at_continuous_times_are_those_of_the_tables_and_lie_between_them(name: str, steps: int) -> None:
    schedule = SCHEDULES[name](steps)
    times = torch.arange(steps + 1).double() / steps
    assert torch.equal(schedule.alpha(times), schedule.alphas)
    assert torch.equal(schedule.sigma(times), schedule.sigmas)
    for k in (0, 1, steps // 3, steps):
        assert schedule.alpha(k / steps) == schedule.alphas[k]
        assert schedule.sigma(k / steps) == schedule.sigmas[k]
    between = torch.linspace(0, 1, 10 * steps + 4).double()
    for falling in (schedule.alpha(between), -schedule.sigma(between), schedule.log_snr(between)):
        assert (falling.diff() < 0).all()


def test_straight_lines_are_straight_at_every_time_and_the_signal_to_noise_ratio_is_theirs() -> None:
    schedule, t = SCHEDULES["straight"](10), torch.tensor([0.123, 0.5, 0.777]).double()
    torch.testing.assert_close(schedule.alpha(t), 1 - t)
    torch.testing.assert_close(schedule.sigma(t), t)
    torch.testing.assert_close(schedule.log_snr(t), ((1 - t) / t).square().log())


def test_the_linear_schedule_is_that_of_ddpm() -> None:
    """β_1 = 10⁻⁴, β_T = 0.02, and 4·10⁻⁵ of the variance of an image is left at the end."""
    kept = SCHEDULES["linear"](1000).alphas.square()
    assert 1 - kept[1] == pytest.approx(1e-4)
    assert 1 - kept[-1] / kept[-2] == pytest.approx(0.02)
    assert kept[-1] == pytest.approx(4.04e-5, rel=0.01)


def test_the_cosine_schedule_is_that_of_improved_ddpm() -> None:
    """ᾱ_k = f(k)/f(0), f(k) = cos²(π/2 · (k/T + 0.008)/1.008), and β_T = 0.999."""
    kept = SCHEDULES["cosine"](1000).alphas.square()
    f = [math.cos((k / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(1001)]
    for k in (1, 250, 500, 999):
        assert kept[k].item() == pytest.approx(f[k] / f[0], rel=1e-6)
    assert 1 - (kept[-1] / kept[-2]).item() == pytest.approx(0.999)


def betas(name: str, steps: int) -> list[float]:
    """Return β_1 … β_T as the papers give them, those of DDPM as of 1,000 steps."""
    if name == "linear":
        return [1000 / steps * (1e-4 + (0.02 - 1e-4) * k / (steps - 1)) for k in range(steps)]
    f = [math.cos((k / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(steps + 1)]
    return [min(0.999, 1 - after / before) for before, after in pairwise(f)]


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_steps_of_the_forward_process_add_up_to_its_closed_form(name: str) -> None:
    """x_k = √(1 − β_k) x_{k−1} + √β_k ε, drawn step by step, is distributed as `noisy` at once."""
    steps, draws = 40, torch.Generator().manual_seed(0)
    schedule, image = SCHEDULES[name](steps), torch.full((40_000, 1, 1, 1), 0.7, dtype=torch.float64)

    def noise() -> torch.Tensor:
        return torch.randn(image.shape, generator=draws, dtype=torch.float64)

    walked = image
    for k, beta in enumerate(betas(name, steps), 1):
        walked = math.sqrt(1 - beta) * walked + math.sqrt(beta) * noise()
        if k in (5, 12, 19, steps):
            at_once = schedule.noisy(torch.full((len(image),), k / steps).double(), image, noise())
            assert walked.mean().item() == pytest.approx(at_once.mean().item(), abs=0.02)
            assert walked.std().item() == pytest.approx(at_once.std().item(), rel=0.02)


@every_schedule
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_every_prediction_says_image_and_noise(name: str, prediction: str) -> None:
    schedule, draws = SCHEDULES[name](100), torch.Generator().manual_seed(1)
    images, noise = torch.randn(2, 64, 3, 4, 4, generator=draws, dtype=torch.float64)
    t = torch.randint(1, 100, (64,), generator=draws).double() / 100
    level = schedule.at(t, images)
    found = image_and_noise(
        prediction, level, schedule.noisy(t, images, noise), target(prediction, level, images, noise)
    )
    torch.testing.assert_close(found[0], images, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1], noise, rtol=1e-9, atol=1e-9)


def test_predictions_are_those_of_their_papers() -> None:
    """Velocity is αε − σx (Salimans and Ho); flow is dx_k/dt on straight lines, ε − x (Lipman et al.)."""
    schedule = SCHEDULES["straight"](100)
    images, noise, t = torch.tensor([[[0.5]], [[-1.0]], [[0.3]]]).double()
    level = schedule.at(t[0], images)
    assert target("velocity", level, images, noise).item() == pytest.approx(0.7 * -1 - 0.3 * 0.5)
    slope = (schedule.noisy(t[0] + 0.01, images, noise) - schedule.noisy(t[0] - 0.01, images, noise)) / 0.02
    torch.testing.assert_close(target("flow", level, images, noise), slope)


def test_what_is_left_of_an_image_in_the_noise_costs_its_kl() -> None:
    schedule = NoiseSchedule(torch.tensor([1, 0.8]).double(), torch.tensor([0, 0.6]).double())
    images = torch.tensor([[[[0.5, -1.0]]]])
    normal, posterior = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(0.8 * images, 0.6)
    expected = torch.distributions.kl_divergence(posterior, normal).sum()
    torch.testing.assert_close(prior_cost(schedule, images)[0], expected)


@every_schedule
def test_a_step_costs_the_kl_of_its_posteriors(name: str) -> None:
    """q(x_{k−1} | x_k, x) is the product of what x and what x_k say of x_{k−1}, by Bayes."""
    schedule = SCHEDULES[name](50)
    images, predicted = torch.tensor([[0.3]]).double(), torch.tensor([[-0.2]]).double()
    for k in (2, 17, 49):
        (alpha, below), (sigma, little) = (table[[k, k - 1]] for table in (schedule.alphas, schedule.sigmas))
        kept = alpha / below
        added = sigma.square() - (kept * little).square()
        precision = 1 / little.square() + kept.square() / added
        difference = (below * (images - predicted) / little.square()) / precision
        expected = 0.5 * (difference.square() * precision).sum()
        found = step_cost(schedule, torch.tensor([k]), images, predicted)
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("predicted", [-1.3, -0.2, 0.999])
def test_the_bytes_of_a_pixel_have_probabilities_that_add_up_to_one(predicted: float) -> None:
    images = torch.linspace(-1, 1, 256).view(256, 1, 1, 1)
    costs = pixel_cost(0.01, images, torch.full_like(images, predicted))
    assert torch.isfinite(costs).all()
    assert torch.exp(-costs.double()).sum().item() == pytest.approx(1, abs=1e-4)
    assert costs.argmin() == (images.flatten() - predicted).abs().argmin()


def test_a_byte_far_from_what_was_predicted_costs_what_it_should_however_far() -> None:
    image = torch.full((1, 1, 1, 1), 0.5)
    for distance in (0.05, 0.3, 0.45):
        normal = torch.distributions.Normal(torch.tensor(0.5 - distance).double(), 0.1)
        expected = (
            -(normal.cdf(torch.tensor(0.5 + BIN / 2)) - normal.cdf(torch.tensor(0.5 - BIN / 2))).log().item()
        )
        assert pixel_cost(0.1, image, image - distance).item() == pytest.approx(expected, rel=1e-3)
    # A tail has nearly the density at its edge over the distance to there, φ(u)/u.
    edge, gap = (100 - BIN / 2) / 0.1, BIN / 0.1
    tail = 0.5 * edge**2 + 0.5 * math.log(2 * math.pi) + math.log(edge) - math.log1p(-math.exp(-gap * edge))
    assert pixel_cost(0.1, image.double(), image.double() - 100).item() == pytest.approx(tail, rel=1e-6)


def test_a_point_costs_its_density() -> None:
    points, predicted = torch.tensor([[0.3, 0.1]]), torch.tensor([[0.2, 0.15]])
    expected = -torch.distributions.Normal(predicted, 0.1).log_prob(points).sum()
    torch.testing.assert_close(point_cost(0.1, points, predicted)[0], expected)


@every_schedule
def test_the_gaussian_baseline_is_the_posterior_mean_of_independent_pixels(name: str) -> None:
    """Its error in a pixel N(μ, v) is vσ²/(α²v + σ²), the least that there is without its neighbours."""
    schedule, (mean, deviation) = SCHEDULES[name](1000), (torch.tensor([-0.9, 0.4]), torch.tensor([0.05, 0.6]))
    random = torch.Generator().manual_seed(0)
    images = mean + deviation * torch.randn(20_000, 2, generator=random)
    for k in (1, 300, 700, 1000):
        times = torch.full((len(images),), k / 1000).double()
        noisy = schedule.noisy(times, images, torch.randn(images.shape, generator=random))
        errors = (gaussian_baseline(schedule.at(times, images), images, noisy) - images).square().mean(0)
        alpha, sigma = (table[k].float() for table in (schedule.alphas, schedule.sigmas))
        least = deviation**2 * sigma**2 / (alpha**2 * deviation**2 + sigma**2)
        torch.testing.assert_close(errors, least, rtol=0.05, atol=0)


def test_no_batch_is_too_small_for_the_gaussian_baseline() -> None:
    schedule, one = SCHEDULES["straight"](10), torch.full((1, 1, 2, 2), 0.5)
    level = schedule.at(torch.tensor([1.0]).double(), one)  # noise alone
    found = gaussian_baseline(level, one, torch.zeros_like(one))
    assert found.mean().item() == pytest.approx(0.25)  # between 0.5 and 0
