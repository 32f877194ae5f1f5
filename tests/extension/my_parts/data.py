"""Data: `--data stripes --stripes-period 6`."""

import numpy as np

import genlab


@genlab.part("data", "stripes")
def stripes(*, period: int = 4) -> tuple[np.ndarray, list[str]]:
    """Return noisy stripes of 16 × 16 pixels, and in which direction they run.

    Args:
        period: distance of two stripes in pixels.
    """
    random, across = np.random.default_rng(0), np.arange(300) % 2 == 0
    bright = (np.arange(16) + random.integers(0, period, (300, 1))) % period < period / 2
    values = 170 * np.where(across[:, None, None], bright[:, :, None], bright[:, None, :])
    noise = random.integers(0, 80, (300, 16, 16))
    return (values + noise).astype(np.uint8), ["across" if way else "down" for way in across]
