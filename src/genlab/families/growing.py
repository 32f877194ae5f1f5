"""Trains a GAN whose newest layers fade in.

References:
    Karras et al., 2018. Progressive Growing of GANs. arXiv:1710.10196.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.schedules import Schedule, constant
from genlab.families.gan import GANTraining


@dataclass(eq=False)
class GrowingGANTraining(GANTraining):
    """As `GANTraining`, with the part α of the newest layers as a function of the step.

    Args:
        fading: α, from 0 to 1.
        set_fade: sets α in both networks.
    """

    fading: Schedule = field(default_factory=constant)
    set_fade: Callable[[float], None] = field(kw_only=True)

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Set α, then update both networks."""
        alpha = self.fading(step)
        self.set_fade(alpha)
        return super().step(step, batches) | {"fade": torch.tensor(alpha)}
