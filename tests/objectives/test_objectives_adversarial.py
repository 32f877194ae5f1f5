import math

import pytest
import torch
from torch import Tensor

from genlab.objectives.adversarial import ADVERSARIAL, AdversarialLoss, minimax, non_saturating

every_loss = pytest.mark.parametrize("loss", ADVERSARIAL.values(), ids=ADVERSARIAL)
# Two distributions over three places as multisets of eight draws each: p = (4, 3, 1)/8 and q = (1, 2, 5)/8.
REAL = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
FAKE = torch.tensor([0, 1, 1, 2, 2, 2, 2, 2])
P = torch.bincount(REAL).double() / 8
Q = torch.bincount(FAKE).double() / 8
BEST = (P / Q).log()  # logits of D* = p / (p + q)


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    middle = (p + q) / 2
    return (0.5 * (p * (p / middle).log()).sum() + 0.5 * (q * (q / middle).log()).sum()).item()


@pytest.mark.parametrize("loss", [minimax, non_saturating])
def test_at_the_best_critic_the_game_is_worth_the_jensen_shannon_divergence(loss: AdversarialLoss) -> None:
    critic_loss, _ = loss(BEST[REAL], BEST[FAKE])
    assert -critic_loss.item() == pytest.approx(-math.log(4) + 2 * jensen_shannon(P, Q), abs=1e-12)


@pytest.mark.parametrize("loss", [minimax, non_saturating])
def test_no_critic_is_better_than_the_best(loss: AdversarialLoss) -> None:
    logits = BEST.clone().requires_grad_()
    critic_loss, _ = loss(logits[REAL], logits[FAKE])
    critic_loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12
    for seed in range(5):
        other = BEST + torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert loss(other[REAL], other[FAKE])[0] > critic_loss


@pytest.mark.parametrize("loss", [minimax, non_saturating])
def test_a_critic_that_knows_nothing_costs_log_four(loss: AdversarialLoss) -> None:
    critic_loss, generator_loss = loss(torch.zeros(4), torch.zeros(3))
    assert critic_loss.item() == pytest.approx(math.log(4))
    assert abs(generator_loss.item()) == pytest.approx(math.log(2))


def test_the_minimax_generator_minimises_what_the_critic_maximises() -> None:
    """The two sides sum to −E[log D(x)], on which the generator has no influence."""
    real, fake = torch.randn(6), torch.randn(6)
    critic_loss, generator_loss = minimax(real, fake)
    torch.testing.assert_close(critic_loss + generator_loss, -torch.sigmoid(real).log().mean())


def test_the_gradients_of_both_generators_differ_by_one_minus_d_over_d() -> None:
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64)
    gradients = []
    for loss in (minimax, non_saturating):
        a = logits.clone().requires_grad_()
        loss(torch.zeros(33), a)[1].backward()
        gradients.append(a.grad)
    saturating, strong = gradients
    assert saturating is not None
    assert strong is not None
    d = torch.sigmoid(logits)
    torch.testing.assert_close(strong / saturating, (1 - d) / d)
    torch.testing.assert_close(saturating, -d / 33)


@pytest.mark.parametrize("mean", [-1.5, 0.0, 0.5])
def test_both_generators_rest_at_the_data_only(mean: float) -> None:
    """Data N(0, 1), model N(mean, 1), the critic at its best: log p(x) − log q(x) = mean (mean / 2 − x)."""
    noise = torch.linspace(-2, 2, 101, dtype=torch.float64)
    for loss in (minimax, non_saturating):
        moved = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
        logits = mean * (mean / 2 - (moved + noise))
        loss(torch.zeros(1), logits)[1].backward()
        assert moved.grad is not None
        if mean == 0:
            assert moved.grad == 0
        else:
            assert moved.grad.sign() == math.copysign(1, mean)  # descent moves the model towards the data


@every_loss
def test_both_sides_pull_where_they_should(loss: AdversarialLoss) -> None:
    real = torch.linspace(-0.9, 0.9, 7, requires_grad=True)
    fake = torch.linspace(-0.8, 0.8, 7, requires_grad=True)
    critic_loss, generator_loss = loss(real, fake)
    of_real, of_fake = torch.autograd.grad(critic_loss, (real, fake), retain_graph=True)
    assert (of_real < 0).all(), "the critic must raise the logits of real images"
    assert (of_fake > 0).all(), "the critic must lower the logits of generated images"
    (for_fake,) = torch.autograd.grad(generator_loss, fake)
    assert (for_fake < 0).all(), "the generator must raise the logits of its images"


@every_loss
def test_logits_of_any_size_stay_finite(loss: AdversarialLoss) -> None:
    real = torch.tensor([-1e4, 1e4], requires_grad=True)
    fake = torch.tensor([1e4, -1e4], requires_grad=True)
    for side in loss(real, fake):
        assert torch.isfinite(side)
        for gradient in torch.autograd.grad(side, (real, fake), retain_graph=True, allow_unused=True):
            assert gradient is None or torch.isfinite(gradient).all()


@every_loss
def test_a_loss_is_a_mean_over_images(loss: AdversarialLoss) -> None:
    real, fake = torch.randn(6), torch.randn(6)
    for once, twice in zip(loss(real, fake), loss(real.repeat(2), fake.repeat(2)), strict=True):
        torch.testing.assert_close(once, twice)
