import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from genlab.core.errors import GenlabError
from genlab.metrics.frechet import Moments, frechet_distance, frechet_estimate, gaussian, moments

DOUBLE = torch.float64


def exactly(mean: Tensor, covariance: Tensor, rows: int = 64, seed: int = 0) -> Tensor:
    """Return rows whose sample mean and unbiased sample covariance are exactly these."""
    dimensions = len(mean)
    drawn = torch.randn(rows, dimensions, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    drawn -= drawn.mean(0)
    own = torch.linalg.cholesky(torch.cov(drawn.T).reshape(dimensions, dimensions))
    return mean + drawn @ torch.linalg.inv(own).T @ torch.linalg.cholesky(covariance).T


def random_features(rows: int, dimensions: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimensions, dimensions, generator=random, dtype=DOUBLE)
    return torch.randn(rows, dimensions, generator=random, dtype=DOUBLE) @ mixing


def test_the_means_alone() -> None:
    real = random_features(50, 4, 0)
    shift = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=DOUBLE)
    assert frechet_distance(real, real + shift) == pytest.approx(float(shift.square().sum()))


def test_covariances_that_commute() -> None:
    """For diagonal covariances it is |Δμ|² + Σ (√a − √b)²."""
    a, b = torch.tensor([1.0, 4.0, 0.25], dtype=DOUBLE), torch.tensor([9.0, 1.0, 0.25], dtype=DOUBLE)
    real = exactly(torch.zeros(3, dtype=DOUBLE), a.diag())
    fake = exactly(torch.ones(3, dtype=DOUBLE), b.diag(), rows=40, seed=1)
    expected = 3 + float((a.sqrt() - b.sqrt()).square().sum())
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (AB)^½ = √(tr AB + 2 √det AB)."""
    a = torch.tensor([[2.0, 0.6], [0.6, 1.0]], dtype=DOUBLE)
    b = torch.tensor([[0.5, -0.4], [-0.4, 3.0]], dtype=DOUBLE)
    real = exactly(torch.tensor([1.0, 2.0], dtype=DOUBLE), a)
    fake = exactly(torch.tensor([0.0, -1.0], dtype=DOUBLE), b, seed=1)
    cross = ((a @ b).trace() + 2 * (a @ b).det().sqrt()).sqrt()
    assert frechet_distance(real, fake) == pytest.approx(
        float(1 + 9 + a.trace() + b.trace() - 2 * cross), rel=1e-9
    )


def test_one_dimension() -> None:
    assert frechet_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [5.0]])) == pytest.approx(16 + 2)


def test_a_set_that_is_one_point() -> None:
    """Then it is |Δμ|² + tr C of the other."""
    real, fake = random_features(40, 5, 0), torch.full((3, 5), 2.0)
    expected = float((real.mean(0) - 2).square().sum() + torch.cov(real.T).trace())
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
    size = float(torch.cov(real.T).trace() + torch.cov(fake.T).trace())
    there, back = frechet_distance(real, fake), frechet_distance(fake, real)
    assert there > 0
    assert there == pytest.approx(back, abs=1e-9 * size)
    for features in (real, fake):
        assert 0 <= frechet_distance(features, features) <= 1e-9 * max(size, 1)


def test_features_and_their_moments_give_the_same() -> None:
    """Few rows take the short way, moments the long one."""
    real, fake = random_features(100, 40, 0), random_features(20, 40, 1)
    expected = frechet_distance(real, fake)
    assert frechet_distance(moments(real), moments(fake)) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(gaussian(real), moments(fake)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("fall", [0.0, 1.0, 4.0, 8.0])
def test_many_dimensions_lose_no_digits(fall: float) -> None:
    """Whether the eigenvalues of PPᵀ do or, in a spectrum that falls too steeply for them, its singular values."""
    dimensions = 300
    scales = torch.arange(1, dimensions + 1, dtype=DOUBLE) ** -fall
    turn = torch.linalg.qr(random_features(dimensions, dimensions, 2)).Q
    real, fake = (random_features(400, dimensions, seed) * scales for seed in (0, 1))
    product = gaussian(real).root @ gaussian(fake).root.T
    expected = (
        (real.mean(0) - fake.mean(0)).square().sum()
        + (torch.cov(real.T) + torch.cov(fake.T)).trace()
        - 2 * torch.linalg.svdvals(product).sum()
    )
    assert frechet_distance(real @ turn, fake @ turn) == pytest.approx(float(expected), rel=1e-6)


def test_constant_and_repeated_features() -> None:
    """Directions that a set does not have, and rows that it has twice, break nothing."""
    real, fake = random_features(60, 10, 0), random_features(60, 10, 1)
    for features in (real, fake):
        features[:, 3] = 5.0
        features[:, 4] = features[:, 5]
        features[30:] = features[:30]
    left = [0, 1, 2, 5, 6, 7, 8, 9]
    scaled = [features[:, left].clone() for features in (real, fake)]
    for features in scaled:
        features[:, 3] *= 2**0.5  # two equal features are one of twice the variance
    assert frechet_distance(moments(real), moments(fake)) == pytest.approx(frechet_distance(*scaled), rel=1e-8)
    assert frechet_distance(moments(real), moments(real)) <= 1e-6


def test_moments_of_parts_are_those_of_the_whole() -> None:
    features = random_features(101, 6, 0) + 1000
    parts = [moments(part) for part in torch.split(features, 13)]
    whole = sum(parts[1:], parts[0])
    assert isinstance(whole, Moments)
    assert whole.count == 101
    torch.testing.assert_close(whole.mean, features.mean(0))
    torch.testing.assert_close(whole.scatter / 100, torch.cov(features.T), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.1, 3.0])
def test_it_agrees_with_a_known_implementation(shift: float) -> None:
    real, fake = random_features(500, 64, 0), random_features(400, 64, 1) * (1 + shift) + shift
    expected = _compute_fid(real.mean(0), torch.cov(real.T), fake.mean(0), torch.cov(fake.T))
    assert frechet_distance(real, fake) == pytest.approx(float(expected), rel=1e-6)


def test_the_error_is_the_deviation_over_other_samples() -> None:
    """Of 80 sets of samples, against the error that is stated from one set alone."""
    real = gaussian(random_features(3000, 6, 0))
    values, errors = [], []
    for seed in range(80):
        random = torch.Generator().manual_seed(seed)
        features = torch.randn(500, 6, generator=random, dtype=DOUBLE) * torch.arange(1, 7) + 0.5
        fake = gaussian(features)
        values.append(frechet_distance(real, fake))
        errors.append(frechet_estimate(real, fake, features, 500).error)
    deviation = float(torch.tensor(values).std())
    assert deviation == pytest.approx(sum(errors) / len(errors), rel=0.25)
    assert frechet_estimate(real, fake, features, 2000).error == pytest.approx(errors[-1] / 2)


def test_order_does_not_matter() -> None:
    real, fake = random_features(30, 4, 0), random_features(30, 4, 1)
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(real.flip(0), fake))


@pytest.mark.parametrize("rows", [5, 50])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("side", ["real", "fake"])
def test_what_is_not_finite_is_refused(bad: float, side: str, rows: int) -> None:
    sets = {"real": random_features(rows, 3, 0), "fake": random_features(rows, 3, 1)}
    sets[side][2, 1] = bad
    with pytest.raises(GenlabError, match=f"features of the {side} images are not finite"):
        frechet_distance(**sets)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(GenlabError, match=f"2 fake images or more, not {rows}"):
        frechet_distance(random_features(5, 3, 0), torch.zeros(rows, 3))
    with pytest.raises(GenlabError, match=f"2 real images or more, not {rows}"):
        frechet_distance(torch.zeros(rows, 3), random_features(5, 3, 0))


def test_features_of_two_extractors_are_refused() -> None:
    with pytest.raises(GenlabError, match="4 and 3 features"):
        frechet_distance(random_features(10, 4, 0), random_features(10, 3, 0))
