import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.objectives.divergence import free_bits, gaussian_kl

PARAMETERS = [(0.0, 0.0), (1.5, 0.0), (0.0, -2.0), (-0.7, 1.2), (3.0, -3.0)]


@pytest.mark.parametrize(("mean", "log_variance"), PARAMETERS)
def test_it_is_the_mean_log_ratio_of_the_densities(mean: float, log_variance: float) -> None:
    """KL = E_q[log q(z) − log p(z)]; the estimate may miss by four of its standard errors."""
    deviation = math.exp(log_variance / 2)
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = mean + deviation * noise
    q = torch.distributions.Normal(torch.tensor(mean, dtype=torch.float64), deviation)
    p = torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 1.0)
    terms = q.log_prob(z) - p.log_prob(z)
    error = 4 * terms.std() / len(terms) ** 0.5 + 1e-12
    exact = gaussian_kl(torch.tensor(mean).double(), torch.tensor(log_variance).double())
    assert abs(terms.mean() - exact) <= error


@settings(deadline=None)
@given(st.floats(-5, 5), st.floats(-8, 5))
def test_it_is_zero_at_the_prior_and_positive_elsewhere(mean: float, log_variance: float) -> None:
    kl = gaussian_kl(torch.tensor(mean).double(), torch.tensor(log_variance).double()).item()
    if mean == 0 and log_variance == 0:
        assert kl == 0
    else:
        distance = mean**2 + log_variance**2
        assert kl > 0 if distance > 1e-6 else kl >= -1e-15


def test_it_is_per_dimension() -> None:
    mean, log_variance = torch.randn(3, 5), torch.randn(3, 5)
    kl = gaussian_kl(mean, log_variance)
    assert kl.shape == (3, 5)
    torch.testing.assert_close(kl[1, 2], gaussian_kl(mean[1, 2], log_variance[1, 2]))


def test_its_gradient_points_away_from_the_prior() -> None:
    mean = torch.tensor([0.0, 2.0, -2.0], requires_grad=True)
    log_variance = torch.tensor([0.0, 1.0, -1.0], requires_grad=True)
    gaussian_kl(mean, log_variance).sum().backward()
    assert mean.grad is not None
    assert log_variance.grad is not None
    torch.testing.assert_close(mean.grad, torch.tensor([0.0, 2.0, -2.0]))
    assert log_variance.grad.sign().tolist() == [0, 1, -1]


KL = torch.tensor([[0.0, 1.0, 4.0], [0.5, 2.0, 6.0]])  # means 0.25, 1.5, 5


@pytest.mark.parametrize(("floor", "expected"), [(0.0, 6.75), (0.2, 6.75), (0.5, 7.0), (2.0, 9.0), (9.0, 27.0)])
def test_free_bits_charge_each_dimension_at_least_the_floor(floor: float, expected: float) -> None:
    assert free_bits(KL, floor).item() == pytest.approx(expected)


def test_free_bits_look_at_the_mean_of_the_batch_and_not_at_each_image() -> None:
    """Both columns have the mean 1.5, one of them with an image below the floor."""
    kl = torch.tensor([[1.5, 0.0], [1.5, 3.0]])
    assert free_bits(kl, 1.0).item() == pytest.approx(3.0)


def test_a_dimension_below_the_floor_gains_nothing_by_saying_less() -> None:
    kl = KL.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(free_bits(kl, 1.0), kl)
    assert gradient.tolist() == [[0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]
