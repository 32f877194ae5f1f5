"""Randomness as a function of (seed, purpose, step).

No stream is ever continued, so none has to be saved: a resumed run draws what the uninterrupted run drew.
On several processes every process draws the rows of the whole batch and keeps its own, so that the numbers
do not depend on how many processes there are.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genlab.core.distributed import WHOLE, Shard


def derive(seed: int, *keys: int | str) -> int:
    """Return a 63-bit seed that depends on every argument; equal arguments give equal seeds anywhere."""
    text = "\x1f".join(str(key) for key in (seed, *keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """Return a CPU generator at the start of the stream (seed, keys)."""
    return torch.Generator().manual_seed(derive(seed, *keys))


def restart_stream(seed: int, device: torch.device) -> None:
    """Start torch's global stream anew, on the CPU and on `device`.

    `torch.manual_seed` does the same for every device there might be, at a hundred times the price.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@dataclass(frozen=True)
class Randomness:
    """Draws for one run: each call names its purpose and step and is repeatable."""

    seed: int
    shard: Shard = WHOLE
    device: torch.device | str = "cpu"

    def part(self, number: int, count: int) -> "Randomness":
        """Return what draws for part `number` of this process's rows, which are cut into `count`."""
        return replace(self, shard=self.shard.part(number, count))

    def normal(self, rows: int, shape: Sequence[int], *keys: int | str) -> Tensor:
        """Return this process's `rows` of standard normal draws, shaped `(rows, *shape)`."""
        return self.draws(rows, *keys).normal(*shape)

    def draws(self, rows: int, *keys: int | str) -> "Draws":
        """Return the stream (seed, keys) for a batch of which this process has `rows`."""
        return Draws(generator(self.seed, *keys), rows, self.shard, self.device)


@dataclass(frozen=True)
class Draws:
    """What one step draws for the rows of one batch: successive calls go on in one stream."""

    generator: torch.Generator
    rows: int
    shard: Shard = WHOLE
    device: torch.device | str = "cpu"

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal draws for this process's rows, (rows, *shape)."""
        return self._mine(torch.randn(self.rows * self.shard.size, *shape, generator=self.generator))

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform draws from [0, 1) for this process's rows, (rows, *shape)."""
        return self._mine(torch.rand(self.rows * self.shard.size, *shape, generator=self.generator))

    def _mine(self, whole: Tensor) -> Tensor:
        return self.shard.rows(whole).to(self.device, non_blocking=True)
