import math

import numpy as np
import pytest

from genlab.data.source import open_source
from genlab.metrics.modes import cover, reverse_kl

CENTRES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def test_the_data_themselves_reach_every_mode() -> None:
    """Within three standard deviations of a plane's normal lie 1 − exp(−9/2) = 98.9 %."""
    for name in ("ring8", "grid25"):
        source = open_source(name)
        assert source.modes is not None
        assert source.mode_spread is not None
        points = source.held_out.values[np.arange(len(source.held_out))]
        coverage = cover(points, source.modes, source.mode_spread)
        assert coverage.modes == len(source.modes)
        assert coverage.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.005)
        assert 0 <= coverage.reverse_kl < 0.01


def test_a_mode_is_reached_by_one_sample_of_high_quality_and_not_by_a_near_miss() -> None:
    points = np.array([[0.0, 0.0], [0.0, 0.29], [1.0, 0.31], [0.3, 0.7]])
    coverage = cover(points, CENTRES, 0.1)
    assert coverage.modes == 1
    assert coverage.high_quality == 0.5
    assert coverage.reverse_kl == pytest.approx(math.log(3))


def test_without_a_good_sample_there_is_no_divergence() -> None:
    coverage = cover(np.array([[9.0, 9.0]]), CENTRES, 0.1)
    assert (coverage.modes, coverage.high_quality) == (0, 0.0)
    assert math.isnan(coverage.reverse_kl)


def test_the_reverse_divergence() -> None:
    assert reverse_kl(np.array([5, 5, 5, 5])) == pytest.approx(0)
    assert reverse_kl(np.array([7, 0, 0, 0])) == pytest.approx(math.log(4))
    shares = np.array([0.7, 0.2, 0.1])
    assert reverse_kl(1000 * shares) == pytest.approx((shares * np.log(3 * shares)).sum())
