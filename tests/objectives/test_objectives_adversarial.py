import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.objectives.adversarial import (
    ADVERSARIAL,
    AdversarialLoss,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    relativistic_average,
    wasserstein,
)

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
def test_at_the_best_discriminator_the_game_is_worth_the_jensen_shannon_divergence(loss: AdversarialLoss) -> None:
    discriminator_loss, _ = loss(BEST[REAL], BEST[FAKE])
    assert -discriminator_loss.item() == pytest.approx(-math.log(4) + 2 * jensen_shannon(P, Q), abs=1e-12)


@pytest.mark.parametrize("loss", [minimax, non_saturating])
def test_no_discriminator_is_better_than_the_best(loss: AdversarialLoss) -> None:
    logits = BEST.clone().requires_grad_()
    discriminator_loss, _ = loss(logits[REAL], logits[FAKE])
    discriminator_loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12
    for seed in range(5):
        other = BEST + torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert loss(other[REAL], other[FAKE])[0] > discriminator_loss


@pytest.mark.parametrize("loss", [minimax, non_saturating])
def test_a_discriminator_that_knows_nothing_costs_log_four(loss: AdversarialLoss) -> None:
    discriminator_loss, generator_loss = loss(torch.zeros(4), torch.zeros(3))
    assert discriminator_loss.item() == pytest.approx(math.log(4))
    assert abs(generator_loss.item()) == pytest.approx(math.log(2))


def test_the_minimax_generator_minimises_what_the_discriminator_maximises() -> None:
    """The two sides sum to −E[log D(x)], on which the generator has no influence."""
    real, fake = torch.randn(6), torch.randn(6)
    discriminator_loss, generator_loss = minimax(real, fake)
    torch.testing.assert_close(discriminator_loss + generator_loss, -torch.sigmoid(real).log().mean())


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
    """Data N(0, 1), model N(mean, 1), the discriminator at its best: log p(x) − log q(x) = mean (mean / 2 − x)."""
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
    real = torch.linspace(0.1, 0.9, 7, requires_grad=True)  # between the targets of least-squares
    fake = torch.linspace(0.2, 0.8, 7, requires_grad=True)
    discriminator_loss, generator_loss = loss(real, fake)
    of_real, of_fake = torch.autograd.grad(discriminator_loss, (real, fake), retain_graph=True)
    assert (of_real < 0).all(), "the discriminator must raise the scores of real images"
    assert (of_fake > 0).all(), "the discriminator must lower the scores of generated images"
    (for_fake,) = torch.autograd.grad(generator_loss, fake)
    assert (for_fake < 0).all(), "the generator must raise the scores of its images"


@every_loss
def test_scores_of_any_size_stay_finite(loss: AdversarialLoss) -> None:
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


SCORES = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64), torch.tensor([-0.5, 0.25, 1.5], dtype=torch.float64)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # ½ mean(0.25, 9, 4) + ½ mean(0.25, 0.0625, 2.25); ½ mean(2.25, 0.5625, 0.25)
        (least_squares, (13.25 / 6 + 2.5625 / 6, 3.0625 / 6)),
        (wasserstein, (1.25 / 3 - 0.5, -1.25 / 3)),
        # mean(0.5, 3, 0) + mean(0.5, 1.25, 2.5)
        (hinge, (3.5 / 3 + 4.25 / 3, -1.25 / 3)),
    ],
)
def test_it_is_the_published_formula(loss: AdversarialLoss, expected: tuple[float, float]) -> None:
    assert [side.item() for side in loss(*SCORES)] == pytest.approx(expected, abs=1e-12)


def test_least_squares_with_its_three_labels() -> None:
    discriminator_loss, generator_loss = least_squares(*SCORES, fake_label=-1.0, real_label=1.0, wanted_label=0.0)
    real, fake = SCORES
    assert discriminator_loss.item() == pytest.approx(
        (((real - 1) ** 2).mean() + ((fake + 1) ** 2).mean()).item() / 2
    )
    assert generator_loss.item() == pytest.approx((fake**2).mean().item() / 2)


def test_least_squares_at_its_best_discriminator_is_the_pearson_divergence() -> None:
    """Theorem 1 of Mao et al.: a = −1, b = 1, c = 0 gives ½ χ²(p + q ‖ 2q), with E[(D(x) − c)²] added."""
    best = (P - Q) / (P + Q)
    real, fake = best[REAL], best[FAKE]
    loss = partial(least_squares, fake_label=-1.0, real_label=1.0, wanted_label=0.0)
    _, on_fakes = loss(real, fake)
    _, on_reals = loss(fake, real)
    pearson = ((2 * Q - (P + Q)) ** 2 / (P + Q)).sum()
    torch.testing.assert_close(2 * (on_fakes + on_reals), pearson)
    places = best.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(places[REAL], places[FAKE])[0], places)
    assert gradient.abs().max() < 1e-12


def test_the_best_lipschitz_discriminator_measures_the_earth_movers_distance() -> None:
    """On a line, mass 1/2 moved from 0 to 3: D(x) = −x is the best discriminator of slope 1."""
    real, fake = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 3.0, 3.0, 1.0]).sort().values
    assert -wasserstein(-real, -fake)[0].item() == pytest.approx((fake - real).abs().mean().item())


def test_the_hinge_leaves_the_sure_alone() -> None:
    real = torch.tensor([1.5, 0.5], requires_grad=True)
    fake = torch.tensor([-1.5, -0.5], requires_grad=True)
    of_real, of_fake = torch.autograd.grad(hinge(real, fake)[0], (real, fake))
    assert of_real.tolist() == [0.0, -0.5]
    assert of_fake.tolist() == [0.0, 0.5]


def test_relativistic_average_by_probabilities() -> None:
    real, fake = SCORES
    d_real, d_fake = torch.sigmoid(real - fake.mean()), torch.sigmoid(fake - real.mean())
    discriminator_loss, generator_loss = relativistic_average(real, fake)
    torch.testing.assert_close(discriminator_loss, -d_real.log().mean() - (1 - d_fake).log().mean())
    torch.testing.assert_close(generator_loss, -d_fake.log().mean() - (1 - d_real).log().mean())


def test_relativistic_average_knows_differences_only_and_trades_sides() -> None:
    real, fake = SCORES
    for moved, loss in zip(
        relativistic_average(real + 7, fake + 7), relativistic_average(real, fake), strict=True
    ):
        torch.testing.assert_close(moved, loss)
    torch.testing.assert_close(relativistic_average(real, fake)[0], relativistic_average(fake, real)[1])


def test_the_relativistic_generator_lowers_what_is_said_of_real_images() -> None:
    real, fake = (scores.clone().requires_grad_() for scores in SCORES)
    (of_real,) = torch.autograd.grad(relativistic_average(real, fake)[1], real)
    assert (of_real > 0).all()


with_targets = pytest.mark.parametrize("loss", [minimax, non_saturating])


@with_targets
def test_smoothed_labels_are_cross_entropy_against_the_targets(loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
    real, fake = SCORES
    discriminator_loss, generator_loss = loss(real, fake, real_label=0.9, fake_label=0.1)
    expected = binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    expected = expected + binary_cross_entropy_with_logits(fake, torch.full_like(fake, 0.1))
    torch.testing.assert_close(discriminator_loss, expected)
    torch.testing.assert_close(generator_loss, loss(real, fake)[1])


@with_targets
def test_one_sided_smoothing_leaves_the_fakes_at_zero(loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
    real, fake = (scores.clone().requires_grad_() for scores in SCORES)
    plain = torch.autograd.grad(loss(real, fake)[0], (real, fake))
    smooth = torch.autograd.grad(loss(real, fake, real_label=0.9)[0], (real, fake))
    assert torch.equal(plain[1], smooth[1])
    torch.testing.assert_close(smooth[0], plain[0] + 0.1 / 3)  # (D − 0.9)/n in place of (D − 1)/n


@with_targets
def test_a_smoothed_discriminator_is_never_sure(loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
    """At the places of real images alone the best D is the label: log(0.9/0.1) and no more."""
    sure = torch.tensor([math.log(9.0)], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(sure, torch.zeros(1), real_label=0.9)[0], sure)
    assert abs(gradient.item()) < 1e-6
