"""A schedule of learning rates: `--lr-schedule warm-up --warm-up-share 0.2`."""

import genlab


@genlab.part("lr-schedule", "warm-up")
def warm_up(step: int, steps: int, *, share: float = 0.1) -> float:
    """Return the factor on all learning rates: it rises to 1 and stays there.

    Args:
        step: number of the step, from 0.
        steps: of the whole run.
        share: of the steps in which it rises.
    """
    return min(1.0, (step + 1) / max(1.0, share * steps))
