"""RePaint: a trained diffusion model draws examples of which a part is known, without training for it.

The known part is the numbers outside a hole, as published, or any projection of an example, such as its reduction
to fewer pixels: without going back, that is ILVR.

References:
    Lugmayr et al., 2022. RePaint: Inpainting using Denoising Diffusion Probabilistic Models, algorithm 1 and
    appendix B. arXiv:2201.09865.
    Choi et al., 2021. ILVR: Conditioning Method for Denoising Diffusion Probabilistic Models, algorithm 1.
    arXiv:2108.02938.
    Wang, Yu and Zhang, 2022. Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model.
    arXiv:2212.00490: pseudo-inverses, and going back for all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from genlab.core.errors import UsageError
from genlab.core.known import Known
from genlab.families.samplers import Ancestral, Trajectory, between

STEPS = 250  # of the published experiments


@dataclass(frozen=True)
class Repainting:
    """How often RePaint goes back to noise, so that what it draws fits what is known.

    Args:
        jump_length: steps of the sampler that are undone at once.
        resampling: how often each step is taken; 1 never goes back.

    Raises:
        UsageError: one of them is below 1.
    """

    jump_length: int = 10
    resampling: int = 10

    def __post_init__(self) -> None:
        for name, value in (("jump-length", self.jump_length), ("resampling", self.resampling)):
            if value < 1:
                raise UsageError(f"--{name} must be at least 1, not {value}.")

    def path(self, steps: int) -> list[int]:
        """Return how many of `steps` steps are left, from `steps` to 0, one up or down at a time.

        From each multiple of `jump_length` that is reached, the path goes back up by as many steps,
        `resampling` − 1 times, but not to where it began.
        """
        jump = max(1, min(self.jump_length, steps - 1))
        left = dict.fromkeys(range(0, steps - jump, jump), self.resampling - 1)
        path = [steps]
        while path[-1]:
            path.append(path[-1] - 1)
            if left.get(path[-1], 0):
                left[path[-1]] -= 1
                path += range(path[-1] + 1, path[-1] + jump + 1)
        return path


def repaint(
    path: Trajectory,
    known: Known,
    times: Sequence[float],
    repainting: Repainting,
    progress_callback: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Return examples (B, …) of which a part is known, with the rest drawn from the model.

    A step down from x_t to x_s is one of `Ancestral`, whose known part is replaced by that of α_s x + σ_s z, where
    x has what is known; a step up adds the noise between both times.

    Args:
        path: the schedule, the denoiser and the noise.
        known: the known part of the examples.
        times: decreasing, from 1 to 0.
        repainting: how often to go back.
        progress_callback: called after each step with the number of steps taken and the total.
    """
    sampler, schedule, places = Ancestral(), path.schedule, repainting.path(len(times) - 1)
    noisy, last = path.draw(), len(times) - 1
    for number, (before, after) in enumerate(pairwise(places), 1):
        t, s = times[last - before], times[last - after]
        if after < before:
            made = sampler.step(path, noisy, t, s)
            noisy_known = schedule.alpha(s) * known.values + (schedule.sigma(s) * path.draw() if s else 0)
            noisy = known.put(noisy_known, made)
        else:
            _, _, kept, added = between(schedule, s, t)
            noisy = kept * noisy + added * path.draw()
        if progress_callback:
            progress_callback(number, len(places) - 1)
    return known.put(known.values, noisy)
