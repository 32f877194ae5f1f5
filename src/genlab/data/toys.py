"""Mixtures of Gaussians in the plane, on which mode collapse can be measured by counting modes.

The protocol is that of VEEGAN and PacGAN: eight modes on a circle of radius 1 with standard deviation 0.01, and a
5 × 5 grid with spacing 2 and standard deviation 0.05. Both are scaled so that the modes lie within [-0.8, 0.8];
the ratio of standard deviation to spacing is as published.

References:
    Srivastava et al., 2017. VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning.
    arXiv:1705.07761.
    Lin et al., 2018. PacGAN: The power of two samples in generative adversarial networks. arXiv:1712.04086.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from genlab.core.random import derive_seed
from genlab.data.dataset import Dataset, Source, make_dataset
from genlab.data.wrappers import Paired

TRAIN, HELD_OUT = 100_000, 10_000
_REACH = 0.8  # the largest coordinate of a mode after scaling

Modes = npt.NDArray[np.float64]


def _ring() -> tuple[Modes, float]:
    angles = 2 * np.pi * np.arange(8) / 8
    return np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.01


def _grid() -> tuple[Modes, float]:
    steps = np.arange(-4.0, 5.0, 2.0)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2), 0.05


ROTATED = "rotated-ring8"
TOYS: dict[str, Callable[[], tuple[Modes, float]]] = {"ring8": _ring, "grid25": _grid, ROTATED: _ring}


def open_toy(name: str) -> Source:
    """Open the points (N, 2) of a toy, labelled by mode; they are the same every time.

    The points of `rotated-ring8` have no labels, but each has a source: the point rotated clockwise by 90°.
    """
    modes, spread = TOYS[name]()
    scale = _REACH / float(np.abs(modes).max())
    modes, spread = modes * scale, spread * scale
    return Source(
        name,
        _draw(f"{name}/train", modes, spread, TRAIN),
        _draw(f"{name}/held-out", modes, spread, HELD_OUT),
        TRAIN + HELD_OUT,
        modes=modes,
        mode_spread=spread,
        notes={
            "split": f"drawn separately: {TRAIN} and {HELD_OUT} points",
            "scale": f"published coordinates times {scale:g}",
        },
    )


def _draw(name: str, modes: Modes, spread: float, count: int) -> Dataset | Paired:
    # RandomState, because NumPy guarantees its stream; that of default_rng may change.
    random = np.random.RandomState(derive_seed(0, "toy", name) % 2**32)
    labels = random.randint(len(modes), size=count).astype(np.int64)
    points = (modes[labels] + spread * random.standard_normal((count, 2))).astype(np.float32)
    if name.startswith(ROTATED):
        rotated = np.stack([points[:, 1], -points[:, 0]], axis=1)
        return Paired(make_dataset(name, points, None, ()), make_dataset(f"{name} sources", rotated, None, ()))
    return make_dataset(name, points, labels, tuple(f"mode {k}" for k in range(len(modes))))
