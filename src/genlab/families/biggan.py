"""BigGAN samples: latents that are truncated, and statistics of batch normalisation that fit them.

References:
    Brock, Donahue and Simonyan, 2018. Large Scale GAN Training for High Fidelity Natural Image Synthesis.
    arXiv:1809.11096.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genlab.core.random import generator as seeded
from genlab.core.statistics import set_statistics_
from genlab.families.gan import GAN

BATCH = 64  # examples of a pass


class BigGAN(GAN):
    """A GAN that samples truncated latents, with standing statistics.

    Args:
        truncation: largest absolute value of a number of a latent; None for N(0, 1).
        passes: with which statistics are measured before sampling; 0 leaves those of training.
        rest: of a `GAN`.
    """

    def __init__(self, *rest: Any, truncation: float | None = None, passes: int = 0) -> None:  # noqa: ANN401
        super().__init__(*rest)
        self.truncation = truncation
        self.passes = passes

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from the truncated prior, (count, latent)."""
        latents = super().prior(count, generator)
        return latents if self.truncation is None else truncated(latents, self.truncation)

    def set_statistics(self) -> None:
        """Set the statistics of the generator's batch normalisation by passes with truncated latents."""
        if self.passes:
            draw = partial(self.sample, BATCH)
            streams = (seeded(number, "standing statistics") for number in range(self.passes))
            set_statistics_(self.generator, (partial(draw, generator=stream) for stream in streams))

    @contextmanager
    def with_statistics(self) -> Iterator[None]:
        """Have them set inside the context, and those of training again after it."""
        before = {name: buffer.clone() for name, buffer in self.generator.named_buffers()}
        self.set_statistics()
        yield
        for name, buffer in self.generator.named_buffers():
            buffer.copy_(before[name])


def truncated(latents: Tensor, limit: float) -> Tensor:
    """Return draws from N(0, 1) as draws from N(0, 1) given that |z| ≤ `limit`.

    |z| becomes the number with F(|z|)·F(limit) where it had F(|z|) = P(|Z| ≤ |z|) = erf(|z|/√2). The distribution
    is that of the published way, which draws again what exceeds the limit; but the same draws can be compared at
    several limits.
    """
    # P(|Z| ≤ |z|) in double precision: in float32, numbers near 1 have no digits left.
    probability = torch.erf(latents.double().abs() / 2**0.5) * math.erf(limit / 2**0.5)
    return (torch.erfinv(probability) * 2**0.5).to(latents.dtype).clamp(max=limit) * latents.sign()
