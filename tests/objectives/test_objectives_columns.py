import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

import tables
from genlab.objectives.columns import LEAST, ColumnDistance, ColumnGaussian, absolute

ROWS = tables.rows(50, 0)
OUTPUTS = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
PRESENT = ROWS[:, 1] < 0


def of_categories() -> torch.Tensor:
    """Return −log P of the categories and of what is missing, (50,)."""
    paid = Categorical(logits=OUTPUTS[:, 2:5]).log_prob(ROWS[:, 2:5].argmax(1))
    member = Categorical(logits=OUTPUTS[:, 6:]).log_prob(ROWS[:, 6:].argmax(1))
    missing = Bernoulli(logits=2 * OUTPUTS[:, 1]).log_prob((ROWS[:, 1] > 0).float())
    return -(paid + member + missing)


@pytest.mark.parametrize(("distance", "power"), [(None, 2), (absolute, 1)])
def test_it_is_the_distance_of_present_numbers_and_the_cross_entropy_of_the_rest(
    distance: None, power: int
) -> None:
    loss = ColumnDistance(tables.TABLE, distance) if distance else ColumnDistance(tables.TABLE)
    apart = (OUTPUTS - ROWS).abs() ** power
    torch.testing.assert_close(loss(OUTPUTS, ROWS), apart[:, 0] * PRESENT + apart[:, 5] + of_categories())


def test_the_gaussian_is_a_normalised_likelihood() -> None:
    loss = ColumnGaussian(tables.TABLE)
    torch.nn.init.constant_(loss.free_log_deviations, 0.7)
    age, amount = (Normal(OUTPUTS[:, at], sd) for at, sd in zip((0, 5), loss.log_deviations.exp(), strict=True))
    expected = age.log_prob(ROWS[:, 0]) * PRESENT + amount.log_prob(ROWS[:, 5]) - of_categories()
    torch.testing.assert_close(loss(OUTPUTS, ROWS), -expected)


def test_no_deviation_falls_below_its_limit() -> None:
    loss = ColumnGaussian(tables.TABLE)
    torch.nn.init.constant_(loss.free_log_deviations, -1e3)
    torch.testing.assert_close(loss.log_deviations, torch.full((2,), LEAST))


def test_nothing_is_learned_from_a_missing_number() -> None:
    outputs = OUTPUTS.clone().requires_grad_()
    ColumnGaussian(tables.TABLE)(outputs, ROWS).sum().backward()
    assert outputs.grad is not None
    assert torch.equal(outputs.grad[:, 0] == 0, ~PRESENT)


def test_draws_have_the_mean_the_deviation_and_the_shares_that_the_likelihood_says() -> None:
    loss = ColumnGaussian(tables.TABLE)
    torch.nn.init.constant_(loss.free_log_deviations, -1.0)
    outputs, count = OUTPUTS[:1].expand(20_000, -1), 20_000
    with torch.no_grad():
        drawn = loss.draw(outputs, torch.randn(count, 8, generator=torch.Generator().manual_seed(1)))
    wanted = tables.TABLE.squash(OUTPUTS[:1])[0]  # probabilities as 2p − 1
    torch.testing.assert_close(drawn[:, 1:5].mean(0), wanted[1:5], atol=0.02, rtol=0)
    torch.testing.assert_close(drawn[:, 6:].mean(0), wanted[6:], atol=0.02, rtol=0)
    assert drawn[:, 5].mean() == pytest.approx(float(wanted[5]), abs=0.01)
    assert drawn[:, 5].std() == pytest.approx(loss.log_deviations[1].exp().item(), rel=0.02)
    assert set(drawn[:, 1:5].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(drawn[:, 0] == 0, drawn[:, 1] > 0)  # nothing in place of a missing number
    assert math.isclose(float((drawn[:, 2:5] > 0).sum()), count)  # one category each
