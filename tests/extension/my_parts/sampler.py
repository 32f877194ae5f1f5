"""A sampler of diffusion models: `--sampler renoise --renoise-fresh 0.5`."""

from math import sqrt

from torch import Tensor

import genlab
from genlab.families.samplers import Trajectory


@genlab.part("sampler", "renoise")
def renoise(path: Trajectory, noisy: Tensor, t: float, s: float, *, fresh: float = 0.3) -> Tensor:
    """Return x_s = α_s x̂ + σ_s ε, where ε is in part the predicted and in part new noise.

    Args:
        path: the schedule, the denoiser and the random numbers of this call.
        noisy: x_t, (B, C, H, W).
        t: time of the noisy images.
        s: time to go to, s < t.
        fresh: share of new noise, from 0 to 1.
    """
    image, noise = path.denoiser(noisy, t)
    noise = sqrt(1 - fresh) * noise + sqrt(fresh) * path.draw()
    return path.schedule.alpha(s) * image + path.schedule.sigma(s) * noise
