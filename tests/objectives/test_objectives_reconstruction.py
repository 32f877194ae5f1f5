from collections.abc import Callable

import numpy as np
import pytest
import torch

from genlab.objectives.reconstruction import RECONSTRUCTION, Reconstruction, bce

Numbers = np.ndarray
REFERENCE: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "mse": lambda a, x: (np.tanh(a) - x) ** 2,
    "l1": lambda a, x: np.abs(np.tanh(a) - x),
    "bce": lambda a, x: -((x + 1) / 2 * np.log((1 + np.tanh(a)) / 2) + (1 - x) / 2 * np.log((1 - np.tanh(a)) / 2)),
}
every_one = pytest.mark.parametrize(("name", "function"), RECONSTRUCTION.items())


@every_one
def test_it_is_the_formula_summed_over_pixels(name: str, function: Reconstruction) -> None:
    random = np.random.default_rng(0)
    activations, images = 2 * random.standard_normal((4, 3, 5, 5)), random.uniform(-1, 1, (4, 3, 5, 5))
    expected = REFERENCE[name](activations, images).reshape(4, -1).sum(1)
    value = function(torch.tensor(activations), torch.tensor(images))
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-10)


@every_one
def test_nothing_is_nearer_than_the_image_itself(name: str, function: Reconstruction) -> None:
    images = torch.rand(2, 1, 4, 4, dtype=torch.float64) * 1.8 - 0.9
    exact = torch.atanh(images).requires_grad_()
    best = function(exact, images)
    for seed in range(4):
        noise = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert (function(exact + 0.3 * noise, images) > best).all()
    if name != "l1":  # which has a corner there
        (gradient,) = torch.autograd.grad(best.sum(), exact)
        assert gradient.abs().max() < 1e-12


@every_one
def test_it_stays_finite_far_out(name: str, function: Reconstruction) -> None:
    activations = torch.tensor([[-200.0, 200.0, -200.0, 200.0]], requires_grad=True)
    value = function(activations, torch.tensor([[1.0, -1.0, -1.0, 1.0]]))
    value.backward()
    assert torch.isfinite(value).all()
    assert activations.grad is not None
    assert torch.isfinite(activations.grad).all()


def test_bce_of_a_binary_image_is_its_code_length() -> None:
    images = torch.tensor([[1.0, -1.0, 1.0]])
    activations = torch.tensor([[0.3, -1.2, -0.4]])
    dice = torch.distributions.Bernoulli(logits=2 * activations)
    torch.testing.assert_close(bce(activations, images), -dice.log_prob((images + 1) / 2).sum(1))
