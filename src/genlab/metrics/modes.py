"""Mode coverage: how many modes of a known mixture a model reaches, and how evenly.

References:
    Srivastava et al., 2017. VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning.
    arXiv:1705.07761.
    Lin et al., 2018. PacGAN: The power of two samples in generative adversarial networks. arXiv:1712.04086.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

WITHIN = 3.0  # standard deviations of a mode


@dataclass(frozen=True)
class Coverage:
    """How samples cover the modes of a mixture."""

    modes: int  # number of modes with at least one high-quality sample
    high_quality: float  # share of samples within `WITHIN` standard deviations of their nearest mode
    reverse_kl: float  # of the modes of high-quality samples to the uniform distribution, in nats; NaN without any


def cover(points: npt.NDArray[Any], centres: npt.NDArray[Any], spread: float) -> Coverage:
    """Assign each point to its nearest mode and return the coverage.

    Args:
        points: samples, (N, D).
        centres: centres of the K modes, (K, D).
        spread: standard deviation of each mode along each axis.
    """
    distances = np.linalg.norm(points[:, None] - centres[None], axis=2)
    near = distances.min(axis=1) <= WITHIN * spread
    counts = np.bincount(distances.argmin(axis=1)[near], minlength=len(centres))
    return Coverage(int((counts > 0).sum()), float(near.mean()), reverse_kl(counts))


def reverse_kl(counts: npt.NDArray[Any]) -> float:
    """KL(p ‖ uniform) = Σ p_k log(p_k·K) in nats, with p the shares of the K counts; NaN if all counts are 0.

    A mode that is never reached adds 0 itself, but raises the shares of the others.
    """
    total = counts.sum()
    if total == 0:
        return float("nan")
    shares = counts[counts > 0] / total
    return float((shares * np.log(shares * len(counts))).sum())
