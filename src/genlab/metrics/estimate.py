"""An estimated number with its standard error."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value and its standard error, which is NaN if it is unknown."""

    value: float
    error: float
