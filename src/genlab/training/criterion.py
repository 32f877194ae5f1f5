"""The criterion: the evaluated value that decides which checkpoint is best. Never imports torch."""

from collections.abc import Mapping
from typing import Any

from genlab.core.errors import GenlabError
from genlab.core.signals import signal

TRUTH = "translation_l1"

# The first of these values that an evaluation has decides which checkpoint is best. Other values never decide.
CRITERIA = (
    *("bits_per_dimension", "negative_bound", "denoising_mse", "reconstruction_mse"),
    *("transfer_distance", "restoration_l1", TRUTH, "fd[{extractor}]"),
)
_NOT_VALUES = ("step", "time", "event", "criterion", "images", "best", "protocol")  # of an evaluation's event


def criterion_of(values: Mapping[str, float]) -> str:
    """Return the name in `values` that comes first in `CRITERIA`; the order of `values` does not matter.

    Raises:
        GenlabError: no name is in `CRITERIA`, so that no checkpoint can be the best.
    """
    for row in CRITERIA:
        for name in sorted(values):
            if signal(name).name == row:
                return name
    raise GenlabError(
        f"no value of this evaluation can decide which checkpoint is best. It has: {', '.join(values) or 'none'}. "
        f"These can: {', '.join(CRITERIA)}. Give the model one of the capabilities that they need."
    )


def values_of(event: Mapping[str, Any]) -> dict[str, float]:
    """Return the values of an evaluation, given its event."""
    return {name: value for name, value in event.items() if name not in _NOT_VALUES}


def recorded_criterion(event: Mapping[str, Any]) -> tuple[str, float]:
    """Return name and value of the criterion of an evaluation, given its event.

    Events of older versions do not name the criterion; then `criterion_of` finds it.
    """
    name = event.get("criterion") or criterion_of(values_of(event))
    return name, event[name]
