"""Likelihood in the units of the literature."""

from math import log


def bits_per_dimension(nats: float, dimensions: int, *, levels: int = 0) -> float:
    """Return −log p(x) / (D ln 2) of a negative log-likelihood in nats per image.

    Args:
        nats: −log p(x) per image.
        dimensions: D, pixels times channels.
        levels: of a density of pixels in [-1, 1], how many levels they were quantised to, 256 for bytes: each is
            then worth the interval 2 / levels. 0 where the likelihood is of discrete pixels already.
    """
    return (nats / dimensions - (log(2 / levels) if levels else 0.0)) / log(2)
