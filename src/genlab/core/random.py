"""Randomness as a function of (seed, purpose, step).

No stream is continued from step to step, so none has to be saved: a resumed run draws the same numbers as an
uninterrupted one. With several processes, each draws the whole batch and keeps its own rows, so that the numbers
do not depend on the number of processes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genlab.core.distributed import WHOLE, Shard


def derive_seed(seed: int, *keys: int | str) -> int:
    """Return a 63-bit seed that depends on all arguments, and is the same on every machine."""
    text = "\x1f".join(str(key) for key in (seed, *keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """Return a CPU generator seeded with (seed, keys)."""
    return torch.Generator().manual_seed(derive_seed(seed, *keys))


def restart_stream(seed: int, device: torch.device) -> None:
    """Seed torch's global generators of the CPU and of `device`.

    `torch.manual_seed` seeds those of all devices, which takes a hundred times as long.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@dataclass(frozen=True)
class Randomness:
    """The random numbers of a run: each call names its purpose and step, and is repeatable."""

    seed: int
    shard: Shard = WHOLE
    device: torch.device | str = "cpu"

    def part(self, number: int, count: int) -> "Randomness":
        """Return the randomness of part `number` of this process's rows, cut into `count` parts."""
        return replace(self, shard=self.shard.part(number, count))

    def normal(self, rows: int, shape: Sequence[int], *keys: int | str) -> Tensor:
        """Return this process's `rows` of standard normal draws, shaped `(rows, *shape)`."""
        return self.draws(rows, *keys).normal(*shape)

    def draws(self, rows: int, *keys: int | str) -> "Draws":
        """Return the draws of (seed, keys) for a batch of which this process has `rows` rows."""
        return Draws(generator(self.seed, *keys), rows, self.shard, self.device)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one step, for the rows of one batch; successive calls continue one stream."""

    generator: torch.Generator
    rows: int
    shard: Shard = WHOLE
    device: torch.device | str = "cpu"

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal draws for this process's rows, (rows, *shape)."""
        return self._own_rows(torch.randn(self.rows * self.shard.size, *shape, generator=self.generator))

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform draws from [0, 1) for this process's rows, (rows, *shape)."""
        return self._own_rows(torch.rand(self.rows * self.shard.size, *shape, generator=self.generator))

    def _own_rows(self, whole: Tensor) -> Tensor:
        return self.shard.rows(whole).to(self.device, non_blocking=True)
