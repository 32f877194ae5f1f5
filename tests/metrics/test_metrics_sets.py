"""Kernel distance, the classifier's score, precision and recall, memorisation: on sets with known answers."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import maximum_mean_discrepancy, poly_mmd

from genlab.core.errors import GenlabError
from genlab.metrics.inception_score import inception_score
from genlab.metrics.kernel import kernel_distance, squared_mmd
from genlab.metrics.neighbours import manifold, memorisation, nearest, radii


def cloud(rows: int, seed: int, centre: float = 0.0, spread: float = 1.0, dimensions: int = 8) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return centre + spread * torch.randn(rows, dimensions, generator=random, dtype=torch.float64)


# the kernel distance


@pytest.mark.parametrize("centre", [0.0, 0.3, 2.0])
def test_the_kernel_distance_agrees_with_a_known_implementation(centre: float) -> None:
    real, fake = cloud(120, 0), cloud(120, 1, centre)
    kernels = [(a @ b.T / 8 + 1) ** 3 for a, b in ((real, real), (real, fake), (fake, fake))]
    expected = float(maximum_mean_discrepancy(*kernels))
    assert float(poly_mmd(real, fake)) == pytest.approx(expected)
    assert squared_mmd(real, fake) == pytest.approx(expected, rel=1e-9)
    whole = kernel_distance(real, fake, size=120)
    assert whole.value == pytest.approx(expected, rel=1e-9)
    assert math.isnan(whole.error), "all subsets are the same one"
    assert kernel_distance(real, fake).value == pytest.approx(expected, rel=0.5, abs=0.2)


def test_the_kernel_distance_has_no_bias() -> None:
    """Between two sets of one distribution it is 0 in the mean, however few there are."""
    values = torch.tensor([squared_mmd(cloud(10, 2 * s), cloud(10, 2 * s + 1)) for s in range(400)])
    assert abs(float(values.mean())) < 3 * float(values.std()) / 20
    assert (values < 0).any()


def test_its_error_is_that_of_independent_subsets() -> None:
    real, fake = cloud(2000, 0), cloud(2000, 1, 0.5)
    few = kernel_distance(real, fake, subsets=20, size=100)
    again = torch.tensor(
        [kernel_distance(real, cloud(2000, s, 0.5), subsets=20, size=100).value for s in range(2, 30)]
    )
    assert few.value == pytest.approx(squared_mmd(real, fake), abs=4 * few.error)
    assert float(again.std()) < 3 * few.error
    assert few.error < 3 * float(again.std())


def test_subsets_depend_on_the_seed_alone() -> None:
    real, fake = cloud(300, 0), cloud(300, 1)
    assert kernel_distance(real, fake, size=50, seed=1) == kernel_distance(real, fake, size=50, seed=1)
    assert kernel_distance(real, fake, size=50, seed=1) != kernel_distance(real, fake, size=50, seed=2)


# the classifier's score


def test_the_score_at_its_ends() -> None:
    """All alike: 1. Sure of each, all classes equally often: the number of classes."""
    assert inception_score(torch.full((100, 7), 1 / 7)).value == pytest.approx(1)
    sure = torch.eye(5).repeat(40, 1)
    assert inception_score(sure, splits=4) == pytest.approx((5.0, 0.0))
    assert inception_score(torch.eye(5)[:1].repeat(50, 1)).value == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore`", "ignore:std")
def test_the_score_agrees_with_a_known_implementation() -> None:
    logits = cloud(200, 0, spread=3.0)
    known = InceptionScore(feature=torch.nn.Identity(), splits=1)
    known.update(logits)
    assert inception_score(logits.softmax(1), splits=1).value == pytest.approx(float(known.compute()[0]), rel=1e-6)


# precision, recall, density, coverage


def test_the_same_set_is_precise_and_covers() -> None:
    real = cloud(200, 0)
    found = manifold(real, real)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    # Each image lies in its own ball and in as many others as have it among their nearest.
    assert found.density == pytest.approx(1 + 1 / 5)


def test_two_samples_of_one_distribution_have_density_and_coverage_near_their_expectation() -> None:
    """Naeem et al.: the expected density is 1, the expected coverage 1 − 1/2^k."""
    found = manifold(cloud(1500, 0, dimensions=4), cloud(1500, 1, dimensions=4))
    assert found.density == pytest.approx(1, abs=0.06)
    assert found.coverage == pytest.approx(1 - 1 / 2**5, abs=0.03)


def test_far_away_nothing_is_right() -> None:
    assert manifold(cloud(100, 0), cloud(100, 1, 100.0)) == (0, 0, 0, 0)


def test_a_dropped_mode_costs_recall_alone() -> None:
    both = torch.cat([cloud(200, 0), cloud(200, 1, 50.0)])
    found = manifold(both, cloud(400, 2))
    assert found.precision > 0.8
    assert found.recall < 0.55
    assert found.coverage < 0.55


def test_added_junk_costs_precision_alone() -> None:
    found = manifold(cloud(400, 0), torch.cat([cloud(400, 1), cloud(200, 2, 50.0)]))
    assert found.precision < 0.7
    assert found.recall > 0.8


def test_identical_images_are_a_manifold_of_one_point() -> None:
    found = manifold(torch.zeros(20, 4), torch.zeros(10, 4))
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert manifold(torch.zeros(20, 4), torch.ones(10, 4)) == (0, 0, 0, 0)


def test_distances_are_those_of_their_definition() -> None:
    one, two = cloud(30, 0, 1000.0), cloud(40, 1, 1000.0)
    distances = torch.cdist(one, two, compute_mode="donot_use_mm_for_euclid_dist")
    found, at = nearest(one, two)
    torch.testing.assert_close(found, distances.min(1).values, rtol=1e-6, atol=1e-6)
    assert torch.equal(at, distances.argmin(1))
    own = torch.cdist(one, one, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values[:, 1:4]
    torch.testing.assert_close(radii(one, 3), own, rtol=1e-6, atol=1e-6)


# memorisation


def test_new_images_are_no_copies() -> None:
    found = memorisation(cloud(500, 0), cloud(300, 1), cloud(300, 2))
    assert found.ratio == pytest.approx(1, abs=0.1)
    assert found.copies < 0.05
    assert abs(found.z_score) < 3


def test_copies_are_found() -> None:
    train = cloud(500, 0)
    copied = memorisation(train, cloud(300, 1), train[:300])
    assert copied.ratio == pytest.approx(0, abs=1e-6)
    assert copied.copies == 1
    assert copied.z_score < -20
    half = memorisation(train, cloud(300, 1), torch.cat([train[:150] + 1e-3, cloud(150, 2)]))
    assert half.copies == pytest.approx(0.5, abs=0.05)
    assert half.z_score < -3


def test_bad_samples_are_no_copies() -> None:
    found = memorisation(cloud(500, 0), cloud(300, 1), cloud(300, 2, 5.0))
    assert found.ratio > 2
    assert found.copies == 0
    assert found.z_score > 20


# bad input


def test_too_few_and_what_is_not_finite_is_refused() -> None:
    bad = cloud(50, 0)
    bad[3, 2] = torch.nan
    good = cloud(50, 1)
    with pytest.raises(GenlabError, match="2 fake images or more, not 1"):
        kernel_distance(good, good[:1])
    with pytest.raises(GenlabError, match="real images are not finite"):
        kernel_distance(bad, good)
    with pytest.raises(GenlabError, match="6 real images or more, not 5"):
        manifold(good[:5], good)
    with pytest.raises(GenlabError, match="fake images are not finite"):
        manifold(good, bad)
    with pytest.raises(GenlabError, match="1 held-out images or more, not 0"):
        memorisation(good, good[:0], good)
    with pytest.raises(GenlabError, match="10 images or more, not 9"):
        inception_score(torch.full((9, 3), 1 / 3))
    with pytest.raises(GenlabError, match="not finite, or negative"):
        inception_score(torch.full((10, 3), -0.1))
