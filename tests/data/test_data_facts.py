"""What the doctor is told about the pictures."""

import numpy as np
import pytest

from genlab.data.dataset import make_dataset
from genlab.data.facts import facts
from genlab.data.source import open_source

RANDOM = np.random.default_rng(0)


def pictures(count: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)


def test_good_pictures() -> None:
    found = facts(make_dataset("test", pictures(100), np.arange(100) % 4, ("a", "b", "c", "d")))
    assert found["images"] == 100
    assert found["classes"] == 4
    assert found["rarest"] == 1
    assert found["constant"] == found["duplicates"] == 0
    assert found["low"] == pytest.approx(-1, abs=0.02)
    assert found["high"] == pytest.approx(1, abs=0.02)


def test_pictures_of_one_colour_copies_and_a_narrow_range() -> None:
    values = pictures(100) // 16
    values[0] = 7
    values[1] = 9
    values[80:] = values[40:60]
    found = facts(make_dataset("test", values, None, ()))
    assert found["constant"] == pytest.approx(0.02)
    assert found["duplicates"] == pytest.approx(0.2)
    assert found["high"] < -0.8
    assert "rarest" not in found


def test_a_rare_class() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    assert facts(make_dataset("test", pictures(100), labels, ("a", "b")))["rarest"] == pytest.approx(0.2)


def test_points_have_no_colours() -> None:
    assert set(facts(open_source("ring8").train)) <= {"images", "classes", "rarest"}
