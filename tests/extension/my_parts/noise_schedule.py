"""A noise schedule: `--schedule power --power-exponent 3`."""

import torch
from torch import Tensor

import genlab


@genlab.part("noise-schedule", "power")
def power(steps: int, *, exponent: float = 2.0) -> tuple[Tensor, Tensor]:
    """Return α = 1 − tᵖ and σ = tᵖ at t = k/T, k = 0 … T: straight lines, with more levels near the image.

    Args:
        steps: T.
        exponent: p; 1 is the schedule of flow matching.
    """
    sigmas = torch.linspace(0, 1, steps + 1, dtype=torch.float64) ** exponent
    return 1 - sigmas, sigmas
