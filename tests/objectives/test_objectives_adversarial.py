import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.core.errors import GenlabError
from genlab.objectives.adversarial import (
    ADVERSARIAL,
    AdversarialLoss,
    cross_entropy_discriminator,
    hinge_discriminator,
    least_squares_discriminator,
    least_squares_generator,
    minimax_generator,
    non_saturating_generator,
    relativistic_average_discriminator,
    relativistic_average_generator,
    relativistic_discriminator,
    relativistic_generator,
    wasserstein_discriminator,
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


def generator_loss(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    return loss.generator(real, fake) if loss.compares_real else loss.generator(fake)


def test_at_the_best_discriminator_the_game_is_worth_the_jensen_shannon_divergence() -> None:
    loss = cross_entropy_discriminator(BEST[REAL], BEST[FAKE])
    assert -loss.item() == pytest.approx(-math.log(4) + 2 * jensen_shannon(P, Q), abs=1e-12)


def test_no_discriminator_is_better_than_the_best() -> None:
    logits = BEST.clone().requires_grad_()
    best = cross_entropy_discriminator(logits[REAL], logits[FAKE])
    best.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12
    for seed in range(5):
        other = BEST + torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert cross_entropy_discriminator(other[REAL], other[FAKE]) > best


def test_a_discriminator_that_knows_nothing_costs_log_four() -> None:
    assert cross_entropy_discriminator(torch.zeros(4), torch.zeros(3)).item() == pytest.approx(math.log(4))
    for loss in (minimax_generator, non_saturating_generator):
        assert abs(loss(torch.zeros(3)).item()) == pytest.approx(math.log(2))


def test_the_minimax_generator_minimises_what_the_discriminator_maximises() -> None:
    """The two sides sum to −E[log D(x)], on which the generator has no influence."""
    real, fake = torch.randn(6), torch.randn(6)
    total = cross_entropy_discriminator(real, fake) + minimax_generator(fake)
    torch.testing.assert_close(total, -torch.sigmoid(real).log().mean())


def test_the_gradients_of_both_generators_differ_by_one_minus_d_over_d() -> None:
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64)
    gradients = []
    for loss in (minimax_generator, non_saturating_generator):
        a = logits.clone().requires_grad_()
        loss(a).backward()
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
    for loss in (minimax_generator, non_saturating_generator):
        moved = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
        logits = mean * (mean / 2 - (moved + noise))
        loss(logits).backward()
        assert moved.grad is not None
        if mean == 0:
            assert moved.grad == 0
        else:
            assert moved.grad.sign() == math.copysign(1, mean)  # descent moves the model towards the data


@every_loss
def test_both_sides_pull_where_they_should(loss: AdversarialLoss) -> None:
    real = torch.linspace(0.1, 0.9, 7, requires_grad=True)  # between the targets of least-squares
    fake = torch.linspace(0.2, 0.8, 7, requires_grad=True)
    of_real, of_fake = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    assert (of_real < 0).all(), "the discriminator must raise the scores of real images"
    assert (of_fake > 0).all(), "the discriminator must lower the scores of generated images"
    (for_fake,) = torch.autograd.grad(generator_loss(loss, real, fake), fake)
    assert (for_fake < 0).all(), "the generator must raise the scores of its images"


@every_loss
def test_scores_of_any_size_stay_finite(loss: AdversarialLoss) -> None:
    real = torch.tensor([-1e4, 1e4], requires_grad=True)
    fake = torch.tensor([1e4, -1e4], requires_grad=True)
    for side in (loss.discriminator(real, fake), generator_loss(loss, real, fake)):
        assert torch.isfinite(side)
        for gradient in torch.autograd.grad(side, (real, fake), retain_graph=True, allow_unused=True):
            assert gradient is None or torch.isfinite(gradient).all()


@every_loss
def test_a_loss_is_a_mean_over_images(loss: AdversarialLoss) -> None:
    real, fake = torch.randn(6), torch.randn(6)
    doubled = real.repeat(2), fake.repeat(2)
    torch.testing.assert_close(loss.discriminator(real, fake), loss.discriminator(*doubled))
    torch.testing.assert_close(generator_loss(loss, real, fake), generator_loss(loss, *doubled))


SCORES = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64), torch.tensor([-0.5, 0.25, 1.5], dtype=torch.float64)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # ½ mean(0.25, 9, 4) + ½ mean(0.25, 0.0625, 2.25); ½ mean(2.25, 0.5625, 0.25)
        ("least-squares", (13.25 / 6 + 2.5625 / 6, 3.0625 / 6)),
        ("wasserstein", (1.25 / 3 - 0.5, -1.25 / 3)),
        # mean(0.5, 3, 0) + mean(0.5, 1.25, 2.5)
        ("hinge", (3.5 / 3 + 4.25 / 3, -1.25 / 3)),
    ],
)
def test_it_is_the_published_formula(loss: str, expected: tuple[float, float]) -> None:
    row = ADVERSARIAL[loss]
    sides = row.discriminator(*SCORES), generator_loss(row, *SCORES)
    assert [side.item() for side in sides] == pytest.approx(expected, abs=1e-12)


def test_least_squares_with_its_three_labels() -> None:
    real, fake = SCORES
    loss = least_squares_discriminator(real, fake, fake_label=-1.0, real_label=1.0)
    assert loss.item() == pytest.approx((((real - 1) ** 2).mean() + ((fake + 1) ** 2).mean()).item() / 2)
    assert least_squares_generator(fake, wanted_label=0.0).item() == pytest.approx((fake**2).mean().item() / 2)


def test_least_squares_at_its_best_discriminator_is_the_pearson_divergence() -> None:
    """Theorem 1 of Mao et al.: a = −1, b = 1, c = 0 gives ½ χ²(p + q ‖ 2q), with E[(D(x) − c)²] added."""
    best = (P - Q) / (P + Q)
    real, fake = best[REAL], best[FAKE]
    on_fakes, on_reals = (least_squares_generator(outputs, wanted_label=0.0) for outputs in (fake, real))
    pearson = ((2 * Q - (P + Q)) ** 2 / (P + Q)).sum()
    torch.testing.assert_close(2 * (on_fakes + on_reals), pearson)
    places = best.clone().requires_grad_()
    loss = least_squares_discriminator(places[REAL], places[FAKE], fake_label=-1.0, real_label=1.0)
    (gradient,) = torch.autograd.grad(loss, places)
    assert gradient.abs().max() < 1e-12


def test_the_best_lipschitz_discriminator_measures_the_earth_movers_distance() -> None:
    """On a line, mass 1/2 moved from 0 to 3: D(x) = −x is the best discriminator of slope 1."""
    real, fake = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 3.0, 3.0, 1.0]).sort().values
    assert -wasserstein_discriminator(-real, -fake).item() == pytest.approx((fake - real).abs().mean().item())


def test_the_hinge_leaves_the_sure_alone() -> None:
    real = torch.tensor([1.5, 0.5], requires_grad=True)
    fake = torch.tensor([-1.5, -0.5], requires_grad=True)
    of_real, of_fake = torch.autograd.grad(hinge_discriminator(real, fake), (real, fake))
    assert of_real.tolist() == [0.0, -0.5]
    assert of_fake.tolist() == [0.0, 0.5]


def test_relativistic_average_by_probabilities() -> None:
    real, fake = SCORES
    d_real, d_fake = torch.sigmoid(real - fake.mean()), torch.sigmoid(fake - real.mean())
    torch.testing.assert_close(
        relativistic_average_discriminator(real, fake), -d_real.log().mean() - (1 - d_fake).log().mean()
    )
    torch.testing.assert_close(
        relativistic_average_generator(real, fake), -d_fake.log().mean() - (1 - d_real).log().mean()
    )


def test_relativistic_average_knows_differences_only_and_trades_sides() -> None:
    real, fake = SCORES
    for loss in (relativistic_average_discriminator, relativistic_average_generator):
        torch.testing.assert_close(loss(real + 7, fake + 7), loss(real, fake))
    torch.testing.assert_close(
        relativistic_average_discriminator(real, fake), relativistic_average_generator(fake, real)
    )


def test_the_relativistic_generator_lowers_what_is_said_of_real_images() -> None:
    real, fake = (scores.clone().requires_grad_() for scores in SCORES)
    (of_real,) = torch.autograd.grad(relativistic_average_generator(real, fake), real)
    assert (of_real > 0).all()


def test_the_paired_loss_is_the_cross_entropy_of_telling_the_real_one_of_each_pair() -> None:
    real, fake = (scores.clone().requires_grad_() for scores in SCORES)
    probability = (real - fake).sigmoid()  # that the real one of a pair is the more real
    torch.testing.assert_close(relativistic_discriminator(real, fake), -probability.log().mean())
    torch.testing.assert_close(relativistic_generator(real, fake), -(1 - probability).log().mean())
    assert relativistic_discriminator(real, real).item() == pytest.approx(math.log(2))


def test_the_paired_loss_knows_differences_within_pairs_alone() -> None:
    real, fake = SCORES
    for loss in (relativistic_discriminator, relativistic_generator):
        torch.testing.assert_close(loss(real + 7, fake + 7), loss(real, fake))
        torch.testing.assert_close(loss(real[[2, 0, 1]], fake[[2, 0, 1]]), loss(real, fake))
        assert not torch.isclose(loss(real[[2, 0, 1]], fake), loss(real, fake))


def test_the_generator_of_pairs_wants_the_reverse() -> None:
    real, fake = (scores.clone().requires_grad_() for scores in SCORES)
    torch.testing.assert_close(relativistic_generator(real, fake), relativistic_discriminator(fake, real))
    (raised,) = torch.autograd.grad(relativistic_generator(real, fake), fake)
    (lowered,) = torch.autograd.grad(relativistic_discriminator(real, fake), fake)
    torch.testing.assert_close(lowered - raised, torch.full_like(fake, 1 / 3))  # σ(−d)/n and −σ(d)/n


def test_smoothed_labels_are_cross_entropy_against_the_targets() -> None:
    real, fake = SCORES
    expected = binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    expected = expected + binary_cross_entropy_with_logits(fake, torch.full_like(fake, 0.1))
    torch.testing.assert_close(cross_entropy_discriminator(real, fake, real_label=0.9, fake_label=0.1), expected)


def test_one_sided_smoothing_leaves_the_fakes_at_zero() -> None:
    real, fake = (scores.clone().requires_grad_() for scores in SCORES)
    plain = torch.autograd.grad(cross_entropy_discriminator(real, fake), (real, fake))
    smooth = torch.autograd.grad(cross_entropy_discriminator(real, fake, real_label=0.9), (real, fake))
    assert torch.equal(plain[1], smooth[1])
    torch.testing.assert_close(smooth[0], plain[0] + 0.1 / 3)  # (D − 0.9)/n in place of (D − 1)/n


def test_a_smoothed_discriminator_is_never_sure() -> None:
    """At the places of real images alone the best D is the label: log(0.9/0.1) and no more."""
    sure = torch.tensor([math.log(9.0)], requires_grad=True)
    loss = cross_entropy_discriminator(sure, torch.zeros(1), real_label=0.9)
    (gradient,) = torch.autograd.grad(loss, sure)
    assert abs(gradient.item()) < 1e-6


def one_output(fake: Tensor) -> Tensor:
    return -fake.mean()


@pytest.mark.parametrize(
    ("row", "traits", "said"),
    [
        ((hinge_discriminator, relativistic_average_generator), {}, r"compares_real=False means \(fake\)"),
        ((hinge_discriminator, one_output), {"compares_real": True}, r"compares_real=True means \(real, fake\)"),
        ((hinge_discriminator, one_output), {"targets": True}, r"targets=True means \(real, fake, \*, real_label"),
        ((cross_entropy_discriminator, one_output), {}, r"targets=False means \(real, fake\)"),
        ((one_output, one_output), {}, r"one_output takes \(fake: .*means \(real, fake\)"),
    ],
)
def test_a_row_whose_traits_are_not_those_of_its_functions_is_refused(
    row: tuple[Callable[..., Tensor], Callable[..., Tensor]], traits: dict[str, bool], said: str
) -> None:
    with pytest.raises(GenlabError, match=said):
        AdversarialLoss(*row, **traits)


@every_loss
def test_a_loss_that_falls_without_limit_is_marked(loss: AdversarialLoss) -> None:
    far = torch.full((2,), 1e6)
    assert (loss.discriminator(far, -far) < -1e5) == loss.unbounded
