"""Schedules: values as functions of the step, so that a resumed run needs no saved state for them."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from genlab.core.errors import UsageError
from genlab.core.parts import Part, Table

Schedule: TypeAlias = Callable[[int], float]


def constant() -> Schedule:
    """Return 1 at every step."""
    return lambda step: 1.0


def linear_decay(steps: int) -> Schedule:
    """Return 1 − t/steps: from 1 to 0 over `steps` steps, then 0."""
    return lambda step: 1 - min(step / steps, 1.0)


def late_linear_decay(steps: int) -> Schedule:
    """Return min(1, 2 − 2t/steps): 1 over the first half of `steps` steps, from 1 to 0 over the second, then 0.

    References:
        Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.
        arXiv:1703.10593.
    """
    return lambda step: min(1.0, 2 - 2 * min(step / steps, 1.0))


def cosine_decay(steps: int) -> Schedule:
    """Return ½ (1 + cos(π t/steps)): from 1 to 0 over `steps` steps, then 0.

    References:
        Loshchilov and Hutter, 2017. SGDR: Stochastic Gradient Descent with Warm Restarts. arXiv:1608.03983.
    """
    return lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def cosine_between(first: float, last: float, steps: int) -> Schedule:
    """Return last + (first − last)·½ (1 + cos(π t/steps)): from `first` to `last` over `steps` steps."""
    falling = cosine_decay(steps)
    return lambda step: last + (first - last) * falling(step) if step < steps else last


def warm_up(steps: int) -> Schedule:
    """Return t/steps: from 0 to 1 over `steps` steps, then 1.

    References:
        Bowman et al., 2016. Generating Sentences from a Continuous Space. arXiv:1511.06349.
        Sønderby et al., 2016. Ladder Variational Autoencoders. arXiv:1602.02282.
    """
    return lambda step: min(step / steps, 1.0)


def cyclical(steps: int, cycles: int, ratio: float = 0.5) -> Schedule:
    """Return min(τ/ratio, 1) with τ = (t mod ⌈steps/cycles⌉) / (steps/cycles); after `steps` steps 1.

    In each cycle the value rises from 0 to 1 over the fraction `ratio` of the cycle, and stays at 1 for the rest.

    References:
        Fu et al., 2019. Cyclical Annealing Schedule, equations 6 and 7. arXiv:1903.10145.
    """
    period = steps / cycles
    return lambda step: min(step % math.ceil(period) / period / ratio, 1.0) if step < steps else 1.0


def own_rate(part: Part, own: Mapping[str, Any]) -> Callable[[int], Schedule]:
    """Return a user's own schedule of learning rates: a function (step, steps) -> factor, with step ≤ steps.

    Raises:
        UsageError: when it is called, if the factor is not a number, or negative.
    """
    function = part.bound(own)

    def factor(step: int, steps: int) -> float:
        made = function(step, steps)
        if not (isinstance(made, int | float) and math.isfinite(made) and made >= 0):
            raise UsageError(
                f'the lr-schedule "{part.name}" must return a factor on the learning rate, 0 or more, not '
                f"{made!r} at step {step} of {steps}."
            )
        return float(made)

    return lambda steps: lambda step: factor(min(step, steps), steps)


RATES: Table[Callable[[int], Schedule]] = Table(
    "lr-schedule",
    {
        "constant": lambda steps: constant(),
        "linear": linear_decay,
        "late-linear": late_linear_decay,
        "cosine": cosine_decay,
    },
    own_rate,
)
