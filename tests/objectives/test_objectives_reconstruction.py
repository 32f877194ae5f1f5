import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from genlab.core.modality import Images
from genlab.objectives.reconstruction import RECONSTRUCTION, LearnedVarianceGaussian, Reconstruction, bce

Numbers = np.ndarray
PICTURES = Images(3, 5, 5)
REFERENCE: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "mse": lambda a, x: (np.tanh(a) - x) ** 2,
    "l1": lambda a, x: np.abs(np.tanh(a) - x),
    "gaussian": lambda a, x: (np.tanh(a) - x) ** 2 / 2 + math.log(2 * math.pi) / 2,  # σ = 1 at first
    "bce": lambda a, x: -((x + 1) / 2 * np.log((1 + np.tanh(a)) / 2) + (1 - x) / 2 * np.log((1 - np.tanh(a)) / 2)),
}
every_one = pytest.mark.parametrize(
    ("name", "function"), [(name, make(PICTURES)) for name, make in RECONSTRUCTION.items()]
)


@every_one
def test_it_is_the_formula_summed_over_pixels(name: str, function: Reconstruction) -> None:
    random = np.random.default_rng(0)
    activations, images = 2 * random.standard_normal((4, 3, 5, 5)), random.uniform(-1, 1, (4, 3, 5, 5))
    expected = REFERENCE[name](activations, images).reshape(4, -1).sum(1)
    value = function(torch.tensor(activations), torch.tensor(images))
    # the softplus in log σ leaves σ e^0.0025 at first
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=5e-3 if name == "gaussian" else 1e-10)


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


def gaussian(deviation: float) -> LearnedVarianceGaussian:
    """Return the likelihood with σ = `deviation`."""
    made = LearnedVarianceGaussian().double()
    soft = math.log(deviation) - made.LEAST
    torch.nn.init.constant_(made.free_log_deviation, made.LEAST + math.log(math.expm1(soft)))
    return made


@pytest.mark.parametrize("deviation", [0.01, 0.2, 1.0, 3.0])
def test_the_gaussian_is_a_normalised_density(deviation: float) -> None:
    activations, images = torch.randn(3, 2, 4, 4).double(), torch.rand(3, 2, 4, 4).double() * 2 - 1
    expected = -torch.distributions.Normal(torch.tanh(activations), deviation).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(gaussian(deviation)(activations, images), expected)


@pytest.mark.parametrize("error", [0.02, 0.3])
def test_the_learned_deviation_rests_at_the_error(error: float) -> None:
    """The best σ² is the mean squared error (Rybkin et al., equation 5)."""
    images = error * torch.tensor([[1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)
    likelihood = gaussian(error)
    likelihood(torch.zeros(1, 4).double(), images).sum().backward()
    assert likelihood.free_log_deviation.grad is not None
    assert abs(likelihood.free_log_deviation.grad) < 1e-9
    for other in (0.9 * error, 1.1 * error):
        assert gaussian(other)(torch.zeros(1, 4).double(), images) > likelihood(torch.zeros(1, 4).double(), images)


def test_the_learned_deviation_has_a_limit_below() -> None:
    likelihood = LearnedVarianceGaussian()
    torch.nn.init.constant_(likelihood.free_log_deviation, -1000.0)
    assert likelihood.log_deviation.item() == -6.0
    assert torch.isfinite(likelihood(torch.zeros(1, 4), torch.ones(1, 4))).all()


def test_each_model_learns_a_deviation_of_its_own() -> None:
    one, other = RECONSTRUCTION["gaussian"](PICTURES), RECONSTRUCTION["gaussian"](PICTURES)
    assert isinstance(one, LearnedVarianceGaussian)
    assert one is not other
    assert list(dict(one.named_parameters())) == ["free_log_deviation"]
