"""Draws histograms as pictures of bytes, faster than a plotting library: previews are drawn often."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genlab.core.pictures import Picture, captioned

WIDTH, HEIGHT, MARGIN = 150, 72, 3  # of a histogram, in pixels
MOST_APART = 30  # bars between which there is space
_BAR, _LINE, _FLOOR = (120, 165, 215), (40, 40, 40), (200, 200, 200)  # colours


@dataclass(frozen=True)
class Histogram:
    """Shares in bins, and those to compare them with, if there are any."""

    caption: str
    shares: npt.NDArray[np.float64]
    expected: Sequence[float] = ()


def histogram_grid(histograms: Sequence[Histogram], columns: int | None = None) -> Picture:
    """Draw histograms in a grid: shares as bars, the expected ones as a line, on one scale.

    Without `columns` the grid is about as high as it is wide.
    """
    columns = columns or math.ceil(math.sqrt(len(histograms)))
    tiles = np.stack([_drawn(each) for each in histograms])
    return captioned(tiles, [each.caption for each in histograms], min(columns, len(histograms)))


def _drawn(histogram: Histogram) -> npt.NDArray[np.uint8]:
    tile, count = np.full((HEIGHT, WIDTH, 3), 255, np.uint8), len(histogram.shares)
    plot = tile[:, MARGIN:-MARGIN]
    plot[-1] = _FLOOR
    expected = np.asarray(histogram.expected if len(histogram.expected) == count else ())
    most = max(histogram.shares.max(initial=0), expected.max(initial=0)) or 1
    bins = np.arange(plot.shape[1]) * count // plot.shape[1]  # of each column of pixels
    below = np.arange(HEIGHT, 0, -1)[:, None]  # pixels from the floor to each row of pixels
    plot[below <= _heights(histogram.shares, most)[bins]] = _BAR
    if count <= MOST_APART:
        plot[:, np.flatnonzero(np.diff(bins))] = 255
    if len(expected):
        heights = _heights(expected, most)[bins]
        before = np.insert(heights[:-1], 0, heights[0])
        plot[(below <= np.maximum(heights, before)) & (below >= np.minimum(heights, before))] = _LINE
    return tile


def _heights(shares: npt.NDArray[np.float64], most: float) -> npt.NDArray[np.int64]:
    return np.rint(shares / most * (HEIGHT - 2)).astype(np.int64)
