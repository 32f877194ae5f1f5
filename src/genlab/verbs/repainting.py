"""What `genlab inpaint` and `genlab upscale` share: options of diffusion models that draw what is not known."""

from typing import TYPE_CHECKING

from genlab.core.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

MOST_DRAWS = 64  # of each picture


def set_up(model: "nn.Module", number: int, jump_length: int | None, resampling: int | None) -> None:
    """Set the options of RePaint, and check the number of draws.

    Raises:
        UsageError: a value that is not possible.
        GenlabError: an option that the model does not have.
    """
    from genlab.applications.capability import need
    from genlab.core.contract import Repaints

    if not 1 <= number <= MOST_DRAWS:
        raise UsageError(f"--number must be from 1 to {MOST_DRAWS}, not {number}.")
    for name, value in (("jump_length", jump_length), ("resampling", resampling)):
        if value is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        if value < 1:
            raise UsageError(f"{flag} must be at least 1, not {value}.")
        setattr(need(model, Repaints, flag), name, value)
