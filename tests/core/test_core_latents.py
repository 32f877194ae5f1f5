"""Paths between latents."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.core.latents import arc, lerp, slerp

WEIGHTS = torch.linspace(0, 1, 5, dtype=torch.float64)


@settings(deadline=None)
@given(st.integers(2, 64), st.integers(0, 100))
def test_slerp_hits_both_ends_and_keeps_the_norm(dimensions: int, seed: int) -> None:
    a, b = torch.randn(2, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    path = slerp(a, b, WEIGHTS)
    torch.testing.assert_close(path[0], a)
    torch.testing.assert_close(path[-1], b)
    equal = slerp(a, b * (a.norm() / b.norm()), WEIGHTS)
    torch.testing.assert_close(equal.norm(dim=1), a.norm().expand(5))
    cosines = torch.nn.functional.cosine_similarity(equal[:-1], equal[1:])
    torch.testing.assert_close(cosines, cosines[:1].expand(4))  # equal steps turn by equal angles


def test_slerp_of_a_right_angle() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    half = math.sqrt(2)
    torch.testing.assert_close(slerp(a, b, torch.tensor([0.5])), torch.tensor([[half, half]]))


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0, 2.0], [2.0, 4.0]), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 0.0], [-1.0, 0.0]), ([0.0, 0.0], [1.0, 2.0])],
)
def test_slerp_without_an_angle_is_the_straight_line(a: list[float], b: list[float]) -> None:
    start, end, weights = torch.tensor(a), torch.tensor(b), torch.tensor([0.0, 0.25, 1.0])
    torch.testing.assert_close(slerp(start, end, weights), lerp(start, end, weights))
    torch.testing.assert_close(lerp(start, end, weights)[1], 0.75 * start + 0.25 * end)


def test_each_place_may_have_its_own_ends() -> None:
    starts, ends = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    starts[2] = 0
    places = torch.linspace(0, 1, 6, dtype=torch.float64)
    together = slerp(starts, ends, places)
    for row in range(6):
        torch.testing.assert_close(together[row], slerp(starts[row], ends[row], places[row : row + 1])[0])


def test_an_arc_has_evenly_changing_lengths_in_the_plane_of_its_ends() -> None:
    start, end = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([-1.0, 1e-2, 0.0])  # nearly opposite
    weights = torch.linspace(0, 1, 11)
    points = arc(start, end, weights)
    torch.testing.assert_close(points[[0, -1]], torch.stack([start, end]))
    torch.testing.assert_close(points.norm(dim=1), lerp(start.norm()[None], end.norm()[None], weights)[:, 0])
    assert not points[:, 2].any()
    assert slerp(start, end, weights).norm(dim=1).max() > 5  # beyond both lengths


def test_an_arc_between_equal_lengths_is_a_great_circle() -> None:
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    weights = torch.linspace(0, 1, 5)
    torch.testing.assert_close(arc(start, end, weights), slerp(start, end, weights))
