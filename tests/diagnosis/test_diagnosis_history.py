"""Signals as arrays: gaps, repetitions, what is not finite."""

import math

import numpy as np
import pytest

from genlab.diagnosis.history import History, Series


def series(*values: float) -> Series:
    return Series(np.arange(1.0, len(values) + 1), np.array(values))


def test_lines_in_any_order_become_series_that_rise() -> None:
    history = History([{"step": 3, "loss": 3.0}, {"step": 1, "loss": 1.0}, {"step": 2, "rate": 5}])
    assert history["loss"].steps.tolist() == [1, 3]
    assert history["loss"].values.tolist() == [1, 3]
    assert history["rate"].last == 5
    assert "other" not in history
    assert len(history["other"]) == 0
    assert (history.step, len(history)) == (3, 3)


def test_a_step_that_comes_again_replaces_what_was_there() -> None:
    history = History([{"step": 1, "loss": 1.0, "rate": 2.0}, {"step": 1, "loss": 4.0}])
    assert (history["loss"].last, history["rate"].last) == (4, 2)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    lines = [{"step": s, "loss": v} for s, v in ((1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0))]
    history = History(lines)
    assert history["loss"].values.tolist() == [1, 2]
    assert history.not_finite == {"loss": 2}
    assert history.until(1).not_finite == {}


def test_words_and_truth_values_are_no_signals() -> None:
    assert History([{"step": 1, "event": "x", "best": True, "loss": None}]).names() == []


def test_the_running_median_forgives_one_odd_value() -> None:
    assert series(1, 1, 9, 1, 1, 1).smooth(3).values.tolist() == [1, 1, 1, 1, 1, 1]
    assert series(4, 2).smooth(5).values.tolist() == [4, 3]
    assert len(Series(np.empty(0), np.empty(0)).smooth()) == 0


def test_since_when_something_holds() -> None:
    of = series(1, 5, 1, 5, 5, 5)
    assert of.true_since(of.values > 2, 3) == 4
    assert of.true_since(of.values > 2, 4) is None
    assert of.true_since(of.values > 0, 6) == 1
    assert of.true_since(of.values > 0, 7) is None


def test_values_at_other_steps_are_the_newest_known() -> None:
    of = Series(np.array([10.0, 20.0]), np.array([1.0, 2.0]))
    assert of.at(np.array([10.0, 15.0, 20.0, 99.0])).tolist() == [1, 1, 2, 2]
    assert math.isnan(of.at(np.array([5.0]))[0])
    assert math.isnan(Series(np.empty(0), np.empty(0)).at(np.array([5.0]))[0])


@pytest.mark.parametrize("step", [0, 1, 5, 10])
def test_a_history_can_be_seen_as_it_was(step: int) -> None:
    lines = [{"step": s, "loss": float(s), **({"fd": 1.0} if s % 5 == 0 else {})} for s in range(1, 11)]
    then, replayed = History(lines).until(step), History(lines[:step])
    assert sorted(then.names()) == sorted(replayed.names())
    assert then.step == (replayed.step if step else 0)
    for name in then.names():
        assert then[name].values.tolist() == replayed[name].values.tolist()


@pytest.mark.parametrize("step", [0, 1, 3, 7, 20])
def test_the_running_median_of_an_earlier_state_is_what_it_was(step: int) -> None:
    whole = series(*np.random.default_rng(0).normal(size=20))
    whole.smooth()
    earlier = whole.until(step)
    fresh = Series(earlier.steps, earlier.values)
    assert earlier.smooth().values.tolist() == fresh.smooth().values.tolist()
    assert earlier.smooth(9).values.tolist() == fresh.smooth(9).values.tolist()
