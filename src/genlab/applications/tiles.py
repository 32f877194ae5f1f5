"""Cuts a picture into tiles that overlap, and puts a picture together from them without seams."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from genlab.core.pictures import Picture, to_bytes

SHARE = 4  # two neighbours overlap by at least one part in so many of their side


def starts(length: int, side: int) -> Sequence[int]:
    """Return where the tiles of a side begin that cover a length, as few as overlap enough, evenly spread."""
    step = side - side // SHARE
    gaps = -(-(length - side) // step)
    return [at * (length - side) // gaps for at in range(gaps + 1)] if gaps else [0]


class Mosaic:
    """A picture that is put together from tiles, which are added in the order of `corners`.

    Where tiles overlap, the picture is their mean, weighted by windows that fall to 0 at the edges as sin² does.
    Besides the picture, which holds bytes, only one row of tiles is kept.

    Args:
        size: height and width of the picture, at least those of a tile.
        tile: height and width of a tile.
    """

    picture: Picture

    def __init__(self, size: tuple[int, int], tile: tuple[int, int]) -> None:
        tops, lefts = (starts(length, side) for length, side in zip(size, tile, strict=True))
        self.corners = list(product(tops, lefts))  # top and left of each tile, row by row
        self._size, self._tile, self._added = size, tile, 0
        self._down, self._across = _window(tile[0], len(tops)), _window(tile[1], len(lefts))
        self._rows, self._columns = _total(size[0], tops, self._down), _total(size[1], lefts, self._across)

    @property
    def complete(self) -> bool:
        """Whether all tiles have been added."""
        return self._added == len(self.corners)

    def add(self, tile: Tensor) -> None:
        """Add the next tile (C, h, w), in [-1, 1]."""
        top, left = self.corners[self._added]
        height, width = self._tile
        if not self._added:
            self.picture = np.empty((*self._size, len(tile)), np.uint8)
            self._top, self._sums = 0, tile.new_zeros(len(tile), height, self._size[1])
        elif top > self._top:
            self._finish(top - self._top)
        self._sums[:, :, left : left + width] += tile * self._down[:, None] * self._across
        self._added += 1
        if self.complete:
            self._finish(height)

    def _finish(self, count: int) -> None:
        """Write the first rows of the sums into the picture, and move on to the next."""
        rows = slice(self._top, self._top + count)
        means = self._sums[:, :count] / (self._rows[rows, None] * self._columns)
        self.picture[rows] = to_bytes(means[None])[0]
        self._sums = torch.cat([self._sums[:, count:], torch.zeros_like(self._sums[:, :count])], 1)
        self._top += count


def _window(side: int, count: int) -> Tensor:
    """Return the weights (side,) of a tile along one side: rising and falling where it may overlap others."""
    ramp = side // SHARE
    if count == 1 or not ramp:
        return torch.ones(side)
    rising = torch.sin(torch.pi / 2 * (torch.arange(ramp) + 0.5) / ramp).square()
    return torch.cat([rising, torch.ones(side - 2 * ramp), rising.flip(0)])


def _total(length: int, begins: Sequence[int], window: Tensor) -> Tensor:
    """Return the sum (length,) of the windows that begin at the given places."""
    total = torch.zeros(length)
    for begin in begins:
        total[begin : begin + len(window)] += window
    return total
