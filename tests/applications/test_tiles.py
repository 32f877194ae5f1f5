"""Tiles cover a picture, and what is put together from them has no seams."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from genlab.applications.tiles import SHARE, Mosaic, starts
from genlab.core.pictures import to_bytes

SIZES = [(16, 16), (17, 16), (16, 100), (40, 33), (59, 71), (100, 128)]


def put_together(picture: Tensor, tile: tuple[int, int]) -> Mosaic:
    height, width = tile
    mosaic = Mosaic((picture.shape[1], picture.shape[2]), tile)
    for top, left in mosaic.corners:
        mosaic.add(picture[:, top : top + height, left : left + width])
    return mosaic


@pytest.mark.parametrize("side", [1, 3, 8, 16, 64])
@pytest.mark.parametrize("more", [0, 1, 5, 16, 47, 300])
def test_tiles_cover_a_length_and_overlap_by_a_quarter(side: int, more: int) -> None:
    begins = starts(side + more, side)
    assert (begins[0], begins[-1]) == (0, more)
    steps = [after - before for before, after in pairwise(begins)]
    assert all(0 < step <= side - side // SHARE for step in steps)
    fewest = -(-more // (side - side // SHARE))
    assert len(begins) == 1 + fewest


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_unchanged_tiles_give_the_same_bytes(size: tuple[int, int], channels: int) -> None:
    picture = torch.randint(0, 256, (channels, *size), generator=torch.Generator().manual_seed(0)) / 127.5 - 1
    mosaic = put_together(picture, (16, 16))
    assert mosaic.complete
    assert (mosaic.picture == to_bytes(picture[None])[0]).all()


def test_tiles_need_not_be_square() -> None:
    picture = torch.linspace(-1, 1, 3 * 30 * 50).view(3, 30, 50)
    assert (put_together(picture, (8, 24)).picture == to_bytes(picture[None])[0]).all()


def test_tiles_that_disagree_fade_into_each_other() -> None:
    """A translator whose tiles are dark and bright in turn: neighbours differ by the slope of sin² at most."""
    mosaic = Mosaic((32, 56), (32, 32))  # two tiles, which overlap by 8
    mosaic.add(torch.full((1, 32, 32), -1.0))
    mosaic.add(torch.full((1, 32, 32), 1.0))
    row = torch.from_numpy(mosaic.picture[0, :, 0]).int()
    assert (row[:24] == 0).all()
    assert (row[32:] == 255).all()
    steps = row[24:32].diff()
    assert (steps > 0).all()
    assert steps.max() <= 255 * torch.pi / 2 / 8 + 1
    assert (mosaic.picture == mosaic.picture[:1]).all()


def test_one_tile_is_taken_as_it_is() -> None:
    tile = torch.randn(3, 16, 16)
    assert (put_together(tile, (16, 16)).picture == to_bytes(tile[None])[0]).all()
