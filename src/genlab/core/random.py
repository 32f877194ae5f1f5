"""Randomness as a function of (seed, purpose, step).

No stream is continued from step to step, so none has to be saved: a resumed run draws the same numbers as an
uninterrupted one. With several processes, each draws the whole batch and keeps its own rows, so that the numbers
do not depend on the number of processes. The noise of samples is a function of (seed, row): `RowNoise`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from genlab.core.distributed import WHOLE, Shard


def derive_seed(seed: int, *keys: int | str) -> int:
    """Return a 63-bit seed that depends on all arguments, and is the same on every machine."""
    text = "\x1f".join(str(key) for key in (seed, *keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """Return a CPU generator seeded with (seed, keys)."""
    return torch.Generator().manual_seed(derive_seed(seed, *keys))


class RowNoise(torch.Generator):
    """The noise of some rows of many: each row has a stream of (seed, keys, row), which its draws continue.

    So the noise of a row depends neither on the number of rows, nor on how they are cut into chunks, nor on the
    device. `normal` draws row by row; so does `torch.randn(count, ..., generator=...)` inside `drawn_by_row`.
    Elsewhere torch takes it for a generator like any other.
    """

    def __new__(cls, *_: object) -> "RowNoise":
        """Make a generator of the CPU."""
        return super().__new__(cls)

    def __init__(self, seed: int, purpose: str, rows: Iterable[int]) -> None:
        super().__init__()
        self.streams = [generator(seed, purpose, row) for row in rows]
        self.manual_seed(derive_seed(seed, purpose))

    def draw(self, function: Callable[..., Tensor], shape: Sequence[int], **options: Any) -> Tensor:  # noqa: ANN401
        """Return draws (rows, …) of `function`, which is `torch.randn` or `torch.rand`."""
        if not shape or shape[0] != len(self.streams):  # not a draw for each row
            return function(tuple(shape), generator=self, **options)
        each = tuple(shape[1:])
        return torch.stack([function(each, generator=stream, **options) for stream in self.streams])


def normal(generator: torch.Generator | None, count: int, *shape: int) -> Tensor:
    """Return standard normal draws (count, *shape) on the CPU, row by row if the generator is a `RowNoise`."""
    if isinstance(generator, RowNoise):
        return generator.draw(torch.randn, (count, *shape))
    return torch.randn(count, *shape, generator=generator)


def drawn_by_row() -> AbstractContextManager[object]:
    """Make `torch.randn` and `torch.rand` draw row by row if their generator is a `RowNoise`.

    It is for models whose code does not call `normal`: it takes some microseconds for each call of a function.
    """
    return _ByRow()


class _ByRow(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        options = dict(kwargs or {})
        if func not in (torch.randn, torch.rand) or not isinstance(options.get("generator"), RowNoise):
            return func(*args, **options)
        noise, size = options.pop("generator"), options.pop("size", args)
        return noise.draw(func, size if len(size) != 1 or isinstance(size[0], int) else size[0], **options)


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
