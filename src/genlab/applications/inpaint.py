"""Fills holes in pictures of any size by a model of pictures of one size.

A model has learned to fill holes that are about half as wide as its pictures. So for each part of a hole that lies
apart, the picture is reduced by a whole number until no pixel of the part is further than a quarter of the model's
side from a known one. Then the part is cut into cells of half that side at most, which are filled one after the
other in windows of the model's size, each with the cells before it as known pixels. What was filled at a reduced
size is enlarged by bicubic interpolation. Known pixels are never touched.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from genlab.applications.capability import need, unaided
from genlab.applications.sample import by_row
from genlab.core.condition import MASK
from genlab.core.contract import Inpaints, Samples
from genlab.core.device import device_of
from genlab.core.pictures import Picture, to_bytes
from genlab.core.random import RowNoise
from genlab.data.dataset import as_floats
from genlab.metrics.holes import Mask, harmonic_fill

NEAR = 8  # parts of a hole that are nearer than the model's side divided by this are filled together
Box = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True)
class Filled:
    """A picture whose hole was filled.

    Args:
        pictures: as many fills as were asked for, each (H, W, 1 or 3).
        baseline: the harmonic fill (H, W, 1 or 3), at the same resolution.
        reduced: by what whole number its sides were divided to fill the widest part.
        windows: how many parts it was filled in.
    """

    pictures: list[Picture]
    baseline: Picture
    reduced: int
    windows: int


def _fills_alone(model: nn.Module) -> bool:
    """Return whether a model needs only a picture and a mask."""
    return unaided(model) or (isinstance(model, Samples) and MASK in model.conditions)


@dataclass(frozen=True)
class ByModel:
    """Fills holes by a model.

    Args:
        model: the model.
        shape: channels, height and width of its images.
        number: how many fills to draw.
        seed: of the noise, which also depends on the name of the picture.

    Raises:
        GenlabError: it does not fill holes.
    """

    model: nn.Module
    shape: tuple[int, int, int]
    number: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        need(self.model, Inpaints, "genlab inpaint", _fills_alone)

    def __call__(self, picture: Picture, hole: Mask, name: str) -> Filled:
        """Fill the hole (H, W), in which not all pixels are, of a picture (H, W, 1 or 3)."""
        made = [picture.copy() for _ in range(self.number + 1)]  # the last is the harmonic fill
        missing, side, windows = hole.copy(), min(self.shape[1:]), 0
        every = sorted(((reduction(own, side), box, own) for box, own in parts(hole, side)), key=itemgetter(0))
        for number, (scale, box, own) in enumerate(every):
            region = self._around(box, scale, hole.shape)
            target = np.zeros_like(missing[region])
            target[_within(region, box)] = own
            images = torch.cat([self._planes(each[region]) for each in made])
            small = self._reduced(images, scale, avg_pool2d)
            lacking, wanted = (
                self._reduced(_as_image(each), scale, max_pool2d) for each in (missing[region], target)
            )
            rows, columns = (ceil(length / scale) for length in target.shape)  # the others are mirrored
            boxes = cells(wanted[0, 0, :rows, :columns].numpy() > 0, *self.shape[1:])
            planes = len(small) // len(made)
            fills, count = self._filled(small[:-planes], lacking[0, 0] > 0, boxes, f"{name} {number}")
            fills = torch.cat([fills, harmonic_fill(small[-planes:], (lacking > 0).expand(planes, -1, -1, -1))])
            for each, one in zip(made, torch.split(fills, planes), strict=True):
                self._paste(one, scale, each[region], target)
            missing[region] &= ~target
            windows += count
        return Filled(made[:-1], made[-1], every[-1][0], windows)

    def _around(self, box: Box, scale: int, size: tuple[int, ...]) -> Box:
        """Return the part of a picture that the fill of a box depends on: a window around it on each side."""
        rows, columns = (
            slice(max(0, at.start - side * scale), min(length, at.stop + side * scale))
            for at, side, length in zip(box, self.shape[1:], size, strict=True)
        )
        return rows, columns

    def _planes(self, picture: Picture) -> Tensor:
        """Return a picture as images (P, C, H, W): its channels apart if those of the model are grey."""
        x = torch.from_numpy(as_floats(np.ascontiguousarray(np.moveaxis(picture, 2, 0))))
        return x[:, None] if self.shape[0] == 1 else x.expand(self.shape[0], -1, -1)[None]

    def _reduced(self, x: Tensor, scale: int, pool: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Return images (P, C, H, W) with sides divided by `scale`, and mirrored if they are too small then.

        The mean of pixels, and the maximum of a mask: a reduced pixel is known only if all of its pixels are, so
        that nothing of the hole shines through.
        """
        small = pool(pad(x, (0, -x.shape[3] % scale, 0, -x.shape[2] % scale), mode="replicate"), scale)
        more = [max(0, side - length) for side, length in zip(self.shape[1:], small.shape[2:], strict=True)]
        return torch.from_numpy(np.pad(small.numpy(), ((0, 0), (0, 0), (0, more[0]), (0, more[1])), "symmetric"))

    @torch.no_grad()
    def _filled(self, x: Tensor, hole: Tensor, boxes: Iterable[Box], name: str) -> tuple[Tensor, int]:
        """Return images (B, C, H, W), filled in boxes one after the other, and the number of windows."""
        device, windows, made, missing = device_of(self.model), 0, x.clone(), hole.clone()
        height, width = self.shape[1:]
        for number, (rows, columns) in enumerate(boxes):
            window = (_window(rows, height, hole.shape[0]), _window(columns, width, hole.shape[1]))
            seen, lacking = made[(..., *window)].to(device), missing[window][None, None].to(device)
            noise = RowNoise(self.seed, f"inpaint {name} {number}", range(len(made)))
            with by_row(self.model):
                fills = need(self.model, Inpaints, "genlab inpaint").inpaint(seen, lacking, generator=noise)
            now = torch.zeros_like(lacking[0, 0], device="cpu")
            now[_within(window, (rows, columns))] = True
            made[(..., *window)] = torch.where(now, fills.float().cpu(), made[(..., *window)])
            missing[rows, columns] = False
            windows += 1
        return made, windows

    def _paste(self, x: Tensor, scale: int, picture: Picture, hole: Mask) -> None:
        """Take the hole of a picture from images (P, C, h, w), enlarged."""
        large = x if scale == 1 else interpolate(x, scale_factor=scale, mode="bicubic")
        whole = large[:, 0] if self.shape[0] == 1 else large[0]
        if whole.shape[0] > picture.shape[2]:
            whole = whole.mean(0, keepdim=True)
        height, width = hole.shape
        picture[hole] = to_bytes(whole[None])[0, :height, :width][hole]


def parts(hole: Mask, side: int) -> Iterator[tuple[Box, Mask]]:
    """Yield the parts of a hole (H, W) that lie apart: a box, one pixel wider than each, and the part in it.

    What is nearer than `side` / 8 belongs together.
    """
    from scipy.ndimage import find_objects, label

    grid = max(1, side // NEAR)
    labels = label(_blocks(hole, grid), np.ones((3, 3)))[0]
    for number, (down, across) in enumerate(find_objects(labels), 1):
        rows, columns = (
            slice(max(0, each.start * grid - 1), min(length, each.stop * grid + 1))
            for each, length in zip((down, across), hole.shape, strict=True)
        )
        own = hole[rows, columns].copy()
        near = np.kron(labels[down, across] == number, np.ones((grid, grid), np.bool_))
        top, left = down.start * grid - rows.start, across.start * grid - columns.start
        mine = np.zeros_like(own)
        inside = mine[top : top + len(near), left : left + near.shape[1]]
        inside[:] = near[: inside.shape[0], : inside.shape[1]]
        yield (rows, columns), own & mine


def _blocks(hole: Mask, grid: int) -> Mask:
    """Return which blocks of grid × grid pixels have a part of the hole."""
    grown = np.pad(hole, [(0, -length % grid) for length in hole.shape])
    apart = grown.reshape(grown.shape[0] // grid, grid, grown.shape[1] // grid, grid)
    return np.asarray(apart.any((1, 3)))


def reduction(hole: Mask, side: int) -> int:
    """Return by what number to reduce a picture so that missing pixels are at most side / 4 from a known one.

    The distance is the larger one of those down and across.
    """
    from scipy.ndimage import distance_transform_cdt

    depth = int(distance_transform_cdt(hole, "chessboard").max())
    return max(1, ceil(depth / max(1, side // 4)))


def cells(hole: Mask, height: int, width: int) -> Iterator[Box]:
    """Yield boxes that cover a hole (H, W), each at most half as high and wide as a window, but no empty ones."""
    rows, columns = (np.nonzero(hole.any(axis))[0] for axis in (1, 0))
    for down in _cut(int(rows[0]), int(rows[-1]) + 1, height // 2):
        for across in _cut(int(columns[0]), int(columns[-1]) + 1, width // 2):
            if hole[down, across].any():
                yield down, across


def _cut(first: int, last: int, most: int) -> list[slice]:
    """Return slices of equal length, up to a pixel, and at most `most`, that cover a range."""
    count = ceil((last - first) / max(1, most))
    edges = [first + at * (last - first) // count for at in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _window(cell: slice, side: int, length: int) -> slice:
    """Return a range of `side` with a cell in its middle, moved so that it lies within a length."""
    start = min(max(0, (cell.start + cell.stop - side) // 2), length - side)
    return slice(start, start + side)


def _within(outer: Box, inner: Box) -> Box:
    """Return where a box lies in another one that holds it."""
    rows, columns = (slice(i.start - o.start, i.stop - o.start) for o, i in zip(outer, inner, strict=True))
    return rows, columns


def _as_image(mask: Mask) -> Tensor:
    return torch.from_numpy(mask)[None, None].float()
