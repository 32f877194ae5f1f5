import itertools
import math

import pytest

from genlab.core.schedules import (
    RATES,
    constant,
    cosine_between,
    cosine_decay,
    cyclical,
    late_linear_decay,
    linear_decay,
    warm_up,
)


def test_rates_begin_at_one_and_end_where_they_should() -> None:
    assert set(RATES) == {"constant", "linear", "late-linear", "cosine"}
    for name, make in RATES.items():
        rate = make(10)
        values = [rate(step) for step in range(15)]
        assert values[0] == 1
        assert all(later <= earlier for earlier, later in itertools.pairwise(values))
        assert values[10:] == pytest.approx([1.0 if name == "constant" else 0.0] * 5)
        assert values[9] > 0, "the last step must still learn"


@pytest.mark.parametrize("step", [0, 1, 5, 7])
def test_rates_by_their_formulas(step: int) -> None:
    assert constant()(step) == 1
    assert linear_decay(20)(step) == pytest.approx(1 - step / 20)
    assert cosine_decay(20)(step) == pytest.approx((1 + math.cos(math.pi * step / 20)) / 2)


def test_late_linear_stays_at_one_for_the_first_half_then_falls_straight_to_zero() -> None:
    assert [late_linear_decay(10)(step) for step in range(12)] == pytest.approx(
        [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0]
    )
    assert [late_linear_decay(5)(step) for step in range(6)] == pytest.approx([1, 1, 1, 0.8, 0.4, 0])


@pytest.mark.parametrize(("first", "last"), [(4.0, 1.0), (0.9, 0.99), (0.0, 0.3)])
def test_a_cosine_leads_from_one_value_to_another_and_stays(first: float, last: float) -> None:
    value = cosine_between(first, last, 8)
    assert [value(step) for step in (0, 4)] == pytest.approx([first, (first + last) / 2])
    assert [value(step) for step in (8, 9, 1000)] == [last] * 3
    assert value(2) + value(6) == pytest.approx(first + last)
    assert abs(value(1) - first) < abs(value(4) - value(3)) / 3  # slow at the ends
    assert cosine_between(first, last, 0)(0) == last


def test_warm_up_rises_to_one_and_stays() -> None:
    assert [warm_up(4)(step) for step in range(7)] == [0, 0.25, 0.5, 0.75, 1, 1, 1]


def test_a_cycle_rises_over_its_ratio_stays_and_starts_again() -> None:
    rise = [0, 0.2, 0.4, 0.6, 0.8]
    assert [cyclical(20, 2)(step) for step in range(20)] == pytest.approx(2 * (rise + [1] * 5))


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("cycles", [1, 4, 5])
def test_corners_of_the_cycles(cycles: int, ratio: float) -> None:
    beta, period = cyclical(2000, cycles, ratio), 2000 // cycles
    for cycle in range(cycles):
        start, top = cycle * period, cycle * period + round(ratio * period)
        assert beta(start) == 0
        assert beta(start + 1) == pytest.approx(1 / (ratio * period))
        assert beta(top - 1) == pytest.approx(1 - 1 / (ratio * period))
        assert beta(start + period - 1) == pytest.approx(1, abs=1.01 / period)
        if ratio < 1:
            assert beta(top) == 1


def test_after_the_cycles_the_value_stays_at_one() -> None:
    assert [cyclical(10, 4)(step) for step in (9, 10, 11, 100)] == [0, 1, 1, 1]


def test_cycles_that_do_not_divide_the_steps() -> None:
    """τ = mod(t, ⌈T/M⌉) / (T/M) with T = 10, M = 4: periods of 3 steps, of which 2.5 are one cycle."""
    assert [cyclical(10, 4)(step) for step in range(6)] == pytest.approx([0, 0.8, 1, 0, 0.8, 1])
