import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

from genlab.objectives.sparsity import SPARSITY, kl_sparsity, l1_sparsity


def activations(*means: float) -> torch.Tensor:
    """Return four images' activations whose means over the images are `means`."""
    spread = torch.tensor([0.5, 1.5, 1.25, 0.75], dtype=torch.float64)
    return spread[:, None] * torch.tensor(means, dtype=torch.float64)


@pytest.mark.parametrize("target", [0.05, 0.3])
def test_kl_is_the_sum_over_units_of_the_divergence_of_coins(target: float) -> None:
    means = torch.tensor([0.01, 0.2, 0.6], dtype=torch.float64)
    expected = kl_divergence(Bernoulli(torch.tensor(target).double()), Bernoulli(means)).sum()
    torch.testing.assert_close(kl_sparsity(activations(0.01, 0.2, 0.6), target), expected, rtol=1e-6, atol=1e-7)


def test_kl_is_zero_at_the_target_alone_and_pulls_towards_it() -> None:
    code = activations(0.05, 0.02, 0.4).requires_grad_()
    assert kl_sparsity(activations(0.05, 0.05)).item() == pytest.approx(0, abs=1e-12)
    (gradient,) = torch.autograd.grad(kl_sparsity(code), code)
    assert gradient[:, 0].abs().max() < 1e-12
    assert (gradient[:, 1] < 0).all(), "a unit that is too quiet is to be raised"
    assert (gradient[:, 2] > 0).all(), "a unit that is too loud is to be lowered"
    assert kl_sparsity(code) > 0


def test_kl_of_units_that_never_or_always_fire_is_finite() -> None:
    code = torch.tensor([[0.0, 1.0], [0.0, 1.0]], requires_grad=True)
    value = kl_sparsity(code)
    (gradient,) = torch.autograd.grad(value, code)
    assert torch.isfinite(value)
    assert value > 1
    assert torch.isfinite(gradient).all()


def test_l1_is_a_mean_over_images_of_the_sum_over_units() -> None:
    code = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 0.0]])
    assert l1_sparsity(code).item() == pytest.approx(1.75)
    assert l1_sparsity(code.repeat(3, 1)).item() == pytest.approx(1.75)


def test_l1_pulls_every_unit_to_zero_by_the_same() -> None:
    code = torch.tensor([[3.0, -0.1]], requires_grad=True)
    assert torch.autograd.grad(l1_sparsity(code), code)[0].tolist() == [[1.0, -1.0]]


def test_the_table_names_both() -> None:
    assert dict(SPARSITY) == {"kl": kl_sparsity, "l1": l1_sparsity}
