"""Classifier-free guidance: samples that fit their condition better, at the cost of diversity.

References:
    Ho and Salimans, 2022. Classifier-Free Diffusion Guidance. arXiv:2207.12598.
    Kynkäänniemi et al., 2024. Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in
        Diffusion Models. arXiv:2404.07724.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

Predictor: TypeAlias = Callable[[Tensor, float], Tensor]  # (x_t, t) -> the network's prediction


@dataclass(frozen=True)
class Guidance:
    """Replaces the conditional prediction y by y_∅ + w (y − y_∅), with y_∅ the unconditional prediction.

    Args:
        scale: w; 1 means no guidance.
        interval: (low, high): guidance is applied at times low < t ≤ high.
    """

    scale: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)

    def __call__(self, conditional: Predictor, unconditional: Predictor) -> Predictor:
        """Return the guided predictor; it calls `unconditional` only at times in the interval."""
        low, high = self.interval

        def guided(noisy: Tensor, t: float) -> Tensor:
            predicted = conditional(noisy, t)
            if self.scale == 1 or not low < t <= high:
                return predicted
            without = unconditional(noisy, t)
            return without + self.scale * (predicted - without)

        return guided
