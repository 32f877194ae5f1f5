"""Converts log-likelihoods to bits per dimension."""

from math import log


def bits_per_dimension(nats: float, dimensions: int, *, levels: int = 0) -> float:
    """Return −log p(x) / (D ln 2) of a negative log-likelihood in nats per image.

    Args:
        nats: −log p(x) per image.
        dimensions: D, pixels times channels.
        levels: for a density over pixels in [-1, 1], the number of levels that they can have, 256 for bytes. The
            lowest is -1 and the highest 1, so that each has an interval of length 2 / (levels - 1). 0 if the
            likelihood is of discrete pixels already.
    """
    return (nats / dimensions - (log(2 / (levels - 1)) if levels else 0.0)) / log(2)
