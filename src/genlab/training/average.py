"""The exponential moving average (EMA) of a model's weights, which is previewed, evaluated and published."""

import copy

import torch
from torch import Tensor, nn

from genlab.core.schedules import Schedule, constant


class Average:
    """Keeps θ̄ ← d·θ̄ + (1 − d)·θ for each floating-point parameter and buffer of a model.

    The decay rises to its full value, d = min(decay, (1 + step) / (10 + step)), so that the initial weights are
    soon forgotten. After the first `EVERY` steps the average is updated every `EVERY` steps with decay d**EVERY:
    it is at most EVERY − 1 steps behind, with a fraction of the memory traffic.

    Args:
        source: the model.
        decay: d, in (0, 1); the weights of log ½ / log d steps ago count half.
        half_life: factor on this number of steps, by the step; at 0 the average is the model itself.

    References:
        Yazıcı et al., 2018. The Unusual Effectiveness of Averaging in GAN Training. arXiv:1806.04498.
    """

    EVERY = 8

    def __init__(self, source: nn.Module, decay: float, half_life: Schedule | None = None) -> None:
        self.source = source
        self.decay = decay
        self.half_life = half_life or constant()
        self.model = copy.deepcopy(source).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the weights after step number `step`, if an update is due."""
        span = self.EVERY if step >= self.EVERY else 1
        if step % span:
            return
        factor = self.half_life(step)
        decay = self.decay ** (1 / factor) if factor else 0.0
        weight = 1 - min(decay, (1 + step) / (10 + step)) ** span
        mine, theirs = self._state(self.model), self._state(self.source)
        floating = [name for name, tensor in mine.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in floating], [theirs[n] for n in floating], weight)
        for name in mine.keys() - set(floating):
            mine[name].copy_(theirs[name])

    @staticmethod
    def _state(model: nn.Module) -> dict[str, Tensor]:
        return dict(model.state_dict())
