"""Holes in pictures, which a model learns to fill: (height, width, draws) -> whether a pixel is missing (H, W).

References:
    Pathak et al., 2016. Context Encoders: Feature Learning by Inpainting. arXiv:1604.07379: a hole in the centre.
    Yu et al., 2019. Free-Form Image Inpainting with Gated Convolution. arXiv:1806.03589: strokes of a brush.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from genlab.core.random import Draws

Hole: TypeAlias = npt.NDArray[np.bool_]

BOXES, SIDES = (1, 4), (1 / 8, 1 / 2)  # how many, and their sides as shares of the picture's
STROKES, TURNS, THICK = (1, 4), (4, 12), (1 / 24, 1 / 8)
NEARLY, GREYS = 32, 0.02  # from black or white, and the largest share of pixels further away, of a mask
INVERTED = 0.5  # share of the pixels from which a hole is so large that its mask may be inverted
SHARES = (0.25, 0.75)  # of the pixels that are missing


def centre(height: int, width: int, draws: Draws) -> Hole:
    """A box in the middle, half as high and wide as the picture."""
    hole = np.zeros((height, width), np.bool_)
    hole[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = True
    return hole


def boxes(height: int, width: int, draws: Draws) -> Hole:
    """One to four boxes of random sizes at random places."""
    hole = np.zeros((height, width), np.bool_)
    for down, across, high, wide in draws.uniform(_count(draws, BOXES), 4)[0].tolist():
        tall, broad = (max(1, round(_between(SIDES, u) * side)) for u, side in ((high, height), (wide, width)))
        top, left = int(down * (height - tall + 1)), int(across * (width - broad + 1))
        hole[top : top + tall, left : left + broad] = True
    return hole


def strokes(height: int, width: int, draws: Draws) -> Hole:
    """Strokes of a brush, which turn at random."""
    from PIL import Image, ImageDraw

    paper = Image.new("1", (width, height))
    pen, diagonal = ImageDraw.Draw(paper), (height**2 + width**2) ** 0.5
    for _ in range(_count(draws, STROKES)):
        x, y, way, thick = draws.uniform(4)[0].tolist()
        x, y, angle = x * width, y * height, 2 * np.pi * way
        brush = max(1, round(_between(THICK, thick) * min(height, width)))
        for turn, length in draws.uniform(_count(draws, TURNS), 2)[0].tolist():
            angle += np.pi * (1 + turn - 0.5)
            to = (x + np.cos(angle) * length * diagonal / 4, y + np.sin(angle) * length * diagonal / 4)
            pen.line((x, y, *to), fill=1, width=brush)
            x, y = (min(max(at, 0), side) for at, side in zip(to, (width, height), strict=True))
            pen.ellipse((x - brush / 2, y - brush / 2, x + brush / 2, y + brush / 2), fill=1)
    return np.array(paper)


def pixels(height: int, width: int, draws: Draws) -> Hole:
    """Single pixels, a quarter to three quarters of them."""
    share = _between(SHARES, draws.uniform().item())
    missing: Hole = draws.uniform(height, width)[0].numpy() < share
    return missing


def half(height: int, width: int, draws: Draws) -> Hole:
    """The upper, lower, left or right half."""
    hole = np.zeros((height, width), np.bool_)
    side = int(4 * draws.uniform().item())
    part = hole if side < 2 else hole.T
    if side % 2:
        part[: len(part) // 2] = True
    else:
        part[len(part) // 2 :] = True
    return hole


def black_or_white(grey: npt.NDArray[np.uint8]) -> tuple[Hole, bool]:
    """Return where a mask (H, W) is nearer to white than to black, and whether it has hardly any other greys.

    JPEG leaves greys near black and white, and along the edges.
    """
    between = ((grey > NEARLY) & (grey < 255 - NEARLY)).mean()
    return grey > 127, bool(between <= GREYS)


HOLES: Mapping[str, Callable[[int, int, Draws], Hole]] = {
    "centre": centre,
    "boxes": boxes,
    "strokes": strokes,
    "pixels": pixels,
    "half": half,
}


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share


def _count(draws: Draws, ends: tuple[int, int]) -> int:
    return ends[0] + int((ends[1] - ends[0] + 1) * draws.uniform().item())
