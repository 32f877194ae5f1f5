"""A number with how sure it is."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A mean and its standard error, which is NaN where it is not known."""

    value: float
    error: float
