import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from genlab.objectives.likelihood import importance_bound

# The linear Gaussian model p(z) = N(0, 1), p(x | z) = N(z, ½), so that p(x) = N(0, 3/2) and p(z | x) = N(⅔x, ⅓).
X = torch.tensor([-1.0, 0.3, 2.0], dtype=torch.float64)
LOG_EVIDENCE = Normal(0.0, 1.5**0.5).log_prob(X)


def log_weights(samples: int, mean: Tensor, deviation: float, rows: int = 1) -> Tensor:
    """Return log p(x, z) − log q(z | x) of draws from q = N(mean, deviation²), (samples, rows·3)."""
    noise = torch.randn(samples, rows * 3, generator=torch.Generator().manual_seed(samples), dtype=torch.float64)
    x, mean = X.repeat(rows), mean.repeat(rows)
    z = mean + deviation * noise
    joint = Normal(0.0, 1.0).log_prob(z) + Normal(z, 0.5**0.5).log_prob(x)
    return joint - Normal(mean, deviation).log_prob(z)


@pytest.mark.parametrize("samples", [1, 3])
def test_with_the_exact_posterior_every_draw_gives_the_evidence(samples: int) -> None:
    weights = log_weights(samples, 2 * X / 3, (1 / 3) ** 0.5)
    torch.testing.assert_close(importance_bound(weights), LOG_EVIDENCE)


def test_it_grows_with_the_draws_from_the_evidence_bound_to_the_evidence() -> None:
    """q is the prior, far from the posterior; E[log w] = log p(x) − KL(q ‖ p(z | x)) in closed form."""
    bounds = [
        importance_bound(log_weights(k, torch.zeros(3).double(), 1.0, rows=20_000)).view(-1, 3).mean(0)
        for k in (1, 2, 5, 20)
    ]
    for fewer, more in itertools.pairwise(bounds):
        assert (more > fewer).all()
    posterior = Normal(2 * X / 3, (1 / 3) ** 0.5)
    gap = torch.distributions.kl_divergence(Normal(torch.zeros(3).double(), 1.0), posterior)
    torch.testing.assert_close(bounds[0], LOG_EVIDENCE - gap, rtol=0, atol=0.05)
    assert (bounds[-1] < LOG_EVIDENCE).all()
    many = importance_bound(log_weights(300_000, torch.zeros(3).double(), 1.0))
    torch.testing.assert_close(many, LOG_EVIDENCE, rtol=0, atol=0.02)


def test_it_is_the_log_of_the_mean_weight_per_image() -> None:
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 0.5]])
    torch.testing.assert_close(importance_bound(weights.log()), torch.tensor([3.0, 6.5 / 3]).log())


def test_weights_beyond_the_range_of_floats_stay_finite() -> None:
    bound = importance_bound(torch.tensor([[-5000.0], [-5001.0]]))
    assert bound.item() == pytest.approx(-5000 + math.log((1 + math.exp(-1)) / 2), abs=1e-3)


def test_its_gradient_weighs_draws_by_their_share() -> None:
    """Equation 14 of Burda et al.: ∇ = Σ w̃_i ∇ log w_i with w̃ normalised."""
    weights = torch.tensor([[1.0], [3.0]]).log().requires_grad_()
    (gradient,) = torch.autograd.grad(importance_bound(weights).sum(), weights)
    torch.testing.assert_close(gradient, torch.tensor([[0.25], [0.75]]))
