"""What is known of examples x, as a projection P x: the numbers outside a hole, or a reduction to fewer pixels.

If y = A x is known of a linear map A, then P = A⁺A with the pseudo-inverse A⁺, A⁺y has what is known, and
x + P (A⁺y − x) = x + A⁺(y − A x) is the example nearest to x that agrees with it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class Known(Protocol):
    """A part of examples (B, *shape) that is known."""

    @property
    def values(self) -> Tensor:
        """Examples (B, *shape) that have the known part, such as A⁺y; nothing else of them has an influence."""
        ...

    def put(self, part: Tensor, into: Tensor) -> Tensor:
        """Return examples `into` (B, *shape) with the known part of the examples `part`: x + P (part − x)."""
        ...


@dataclass(frozen=True)
class Outside:
    """The numbers of examples that lie outside a hole.

    Args:
        values: the examples (B, *shape).
        hole: whether a number is missing, broadcast to the examples.
    """

    values: Tensor
    hole: Tensor

    def put(self, part: Tensor, into: Tensor) -> Tensor:
        """Return `into` in the hole, and `part` outside."""
        return torch.where(self.hole, into, part)


@dataclass(frozen=True)
class Reduced:
    """Images whose bicubic reduction by whole numbers is known: y = R_H x R_Wᵀ.

    Args:
        images: the reductions y (B, C, h, w).
        size: height and width of the images, multiples of h and w.
    """

    images: Tensor
    size: tuple[int, int]

    @cached_property
    def _down(self) -> list[Tensor]:
        """R_H and R_W."""
        return [bicubic(*lengths) for lengths in zip(self.size, self.images.shape[2:], strict=True)]

    @cached_property
    def _up(self) -> list[Tensor]:
        """Their pseudo-inverses."""
        return [torch.linalg.pinv(each) for each in self._down]

    @cached_property
    def values(self) -> Tensor:
        """The smallest images (B, C, H, W) with these reductions, A⁺y."""
        return _applied(self._up, self.images)

    def reduce(self, x: Tensor) -> Tensor:
        """Return the reductions (B, C, h, w) of images (B, C, H, W)."""
        return _applied(self._down, x)

    def put(self, part: Tensor, into: Tensor) -> Tensor:
        """Return the images nearest to `into` that have the reductions of `part`."""
        return into + _applied(self._up, self.reduce(part - into))


def _applied(maps: list[Tensor], x: Tensor) -> Tensor:
    rows, columns = (each.to(x) for each in maps)
    return rows @ x @ columns.T


def bicubic(length: int, part: int) -> Tensor:
    """Return the matrix (part, length) of Pillow's antialiased bicubic reduction of a line, in float64."""
    lines = torch.eye(length, dtype=torch.float64)[None, None]
    return interpolate(lines, size=(part, length), mode="bicubic", antialias=True)[0, 0]
