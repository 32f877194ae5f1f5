import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.core.errors import GenlabError
from genlab.metrics.frechet import Matrix, frechet_distance


def exactly(mean: Matrix, covariance: Matrix, rows: int = 64, seed: int = 0) -> Matrix:
    """Return rows whose sample mean and unbiased sample covariance are exactly these."""
    dimensions = len(mean)
    drawn = np.random.default_rng(seed).standard_normal((rows, dimensions))
    drawn -= drawn.mean(0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False).reshape(dimensions, -1))).T
    return mean + white @ np.linalg.cholesky(covariance).T


def random_features(rows: int, dimensions: int, seed: int) -> Matrix:
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, dimensions)) @ random.standard_normal((dimensions, dimensions))


def test_the_means_alone() -> None:
    real = random_features(50, 4, 0)
    shift = np.array([1.0, -2.0, 0.5, 3.0])
    assert frechet_distance(real, real + shift) == pytest.approx(np.square(shift).sum())


def test_covariances_that_commute() -> None:
    """For diagonal covariances it is |Δμ|² + Σ (√a − √b)²."""
    a, b = np.array([1.0, 4.0, 0.25]), np.array([9.0, 1.0, 0.25])
    real, fake = exactly(np.zeros(3), np.diag(a)), exactly(np.ones(3), np.diag(b), rows=40, seed=1)
    expected = 3 + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (AB)^½ = √(tr AB + 2 √det AB)."""
    a, b = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[0.5, -0.4], [-0.4, 3.0]])
    real, fake = exactly(np.array([1.0, 2.0]), a), exactly(np.array([0.0, -1.0]), b, seed=1)
    cross = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = 1 + 9 + np.trace(a) + np.trace(b) - 2 * cross
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_one_dimension() -> None:
    real, fake = np.array([[0.0], [2.0]]), np.array([[5.0], [5.0]])
    assert frechet_distance(real, fake) == pytest.approx(16 + 2)


def test_a_set_that_is_one_point() -> None:
    """Then it is |Δμ|² + tr C of the other."""
    real, fake = random_features(40, 5, 0), np.full((3, 5), 2.0)
    expected = np.square(real.mean(0) - 2).sum() + np.trace(np.cov(real, rowvar=False))
    assert frechet_distance(real, fake) == pytest.approx(expected)
    assert frechet_distance(fake, real) == pytest.approx(expected)


@settings(deadline=None)
@given(
    rows=st.integers(2, 40),
    others=st.integers(2, 40),
    dimensions=st.integers(2, 24),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
)
def test_it_is_a_distance(rows: int, others: int, dimensions: int, seed: int, scale: float) -> None:
    """Also where there are fewer rows than dimensions and the covariance is singular."""
    real = scale * random_features(rows, dimensions, seed)
    fake = scale * random_features(others, dimensions, seed + 1)
    size = np.trace(np.cov(real, rowvar=False)) + np.trace(np.cov(fake, rowvar=False))
    there, back = frechet_distance(real, fake), frechet_distance(fake, real)
    assert there > 0
    assert there == pytest.approx(back, abs=1e-6 * size)
    for features in (real, fake):
        assert 0 <= frechet_distance(features, features) <= 1e-6 * max(size, 1)


def test_order_does_not_matter() -> None:
    real, fake = random_features(30, 4, 0), random_features(30, 4, 1)
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(real[::-1], fake))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["real", "fake"])
def test_what_is_not_finite_is_refused(bad: float, side: str) -> None:
    sets = {"real": random_features(5, 3, 0), "fake": random_features(5, 3, 1)}
    sets[side][2, 1] = bad
    with pytest.raises(GenlabError, match=f"features of the {side} images are not finite"):
        frechet_distance(**sets)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(GenlabError, match=f"2 fake images or more, not {rows}"):
        frechet_distance(random_features(5, 3, 0), np.zeros((rows, 3)))
    with pytest.raises(GenlabError, match=f"2 real images or more, not {rows}"):
        frechet_distance(np.zeros((rows, 3)), random_features(5, 3, 0))
