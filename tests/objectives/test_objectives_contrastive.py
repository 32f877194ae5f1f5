import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from genlab.objectives.contrastive import patch_nce

POSITIONS, UNITS = 5, 8


def unit_vectors(seed: int, images: int = 3) -> Tensor:
    drawn = torch.randn(images, POSITIONS, UNITS, generator=torch.Generator().manual_seed(seed)).double()
    return normalize(drawn, dim=2)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
def test_its_value_by_hand(temperature: float) -> None:
    """Two positions whose features are at 0° and 90°, and queries at 0° and 60°."""
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).double()
    queries = torch.tensor([[[1.0, 0.0], [0.5, 3**0.5 / 2]]]).double()
    first = math.log(1 + math.exp(-1 / temperature))
    second = math.log(1 + math.exp((0.5 - 3**0.5 / 2) / temperature))
    assert patch_nce(queries, keys, temperature).item() == pytest.approx((first + second) / 2)


def test_positions_that_look_the_same_cannot_be_recognised() -> None:
    same = unit_vectors(0)[:, :1].expand(-1, POSITIONS, -1)
    assert patch_nce(same, same, 0.07).item() == pytest.approx(math.log(POSITIONS))


def test_it_is_least_if_features_are_equal_and_far_apart() -> None:
    """The corners of a simplex are as far apart as they can be: their cosines are −1 / (S − 1)."""
    corners = torch.eye(UNITS).double()[None, :POSITIONS]
    apart = normalize(corners - corners.mean(1, keepdim=True), dim=2)
    least = patch_nce(apart, apart, 0.5)
    cosine = -1 / (POSITIONS - 1)
    assert least.item() == pytest.approx(math.log(1 + (POSITIONS - 1) * math.exp((cosine - 1) / 0.5)))
    for seed in range(5):
        moved = normalize(apart + 0.1 * unit_vectors(seed, 1), dim=2)
        assert patch_nce(moved, apart, 0.5) > least
        assert patch_nce(moved, moved, 0.5) > least


def test_the_order_of_positions_does_not_matter_but_who_belongs_to_whom_does() -> None:
    queries, order = unit_vectors(1), torch.tensor([3, 0, 4, 1, 2])
    keys = normalize(queries + 0.2 * unit_vectors(2), dim=2)
    loss = patch_nce(queries, keys, 0.07)
    torch.testing.assert_close(patch_nce(queries[:, order], keys[:, order], 0.07), loss)
    assert patch_nce(queries[:, order], keys, 0.07) > loss + 1


def test_only_positions_of_the_same_image_are_negatives() -> None:
    queries, keys = unit_vectors(1), unit_vectors(2)
    alone = [patch_nce(queries[[row]], keys[[row]], 0.07) for row in range(3)]
    torch.testing.assert_close(patch_nce(queries, keys, 0.07), torch.stack(alone).mean())
