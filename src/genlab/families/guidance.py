"""Classifier-free guidance: samples that fit their condition better, at the price of variety.

References:
    Ho and Salimans, 2022. Classifier-Free Diffusion Guidance. arXiv:2207.12598.
    Kynkäänniemi et al., 2024. Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in
        Diffusion Models. arXiv:2404.07724.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

Predictor: TypeAlias = Callable[[Tensor, float], Tensor]  # x_t and t to what the network predicts


@dataclass(frozen=True)
class Guidance:
    """Guides a prediction y with a condition away from that without one, y_∅: to y_∅ + w (y − y_∅).

    Args:
        scale: w; 1 changes nothing.
        interval: (low, high) of the times t, low < t ≤ high, that are guided.
    """

    scale: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)

    def __call__(self, conditional: Predictor, unconditional: Predictor) -> Predictor:
        """Return the guided predictor; it calls `unconditional` only at times that are guided."""
        low, high = self.interval

        def guided(noisy: Tensor, t: float) -> Tensor:
            predicted = conditional(noisy, t)
            if self.scale == 1 or not low < t <= high:
                return predicted
            without = unconditional(noisy, t)
            return without + self.scale * (predicted - without)

        return guided
