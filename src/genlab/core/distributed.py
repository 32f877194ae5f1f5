"""More than one process: who am I, and the three collectives that training needs.

Networks are not wrapped. Each process computes on its rows of the global batch; gradients are averaged in
`Player.update`, batch statistics in `BatchNorm`, signals when they are logged.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

if dist.is_available():
    # Its functions have the process group of the moment it is imported as their default argument. The first
    # optimizer imports it; were that after `join`, gloo's threads would outlive `leave`, and one that drops a
    # tensor while the interpreter goes down aborts the process ("terminate called without an active exception").
    import torch.distributed.nn.functional

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Which part of every global batch belongs to this process."""

    rank: int = 0
    size: int = 1

    def rows(self, whole: Tensor) -> Tensor:
        """Return this process's rows of a tensor that holds the global batch along dimension 0."""
        each = len(whole) // self.size
        return whole[self.rank * each : (self.rank + 1) * each]

    def part(self, number: int, count: int) -> "Shard":
        """Return the shard of part `number` of this process's rows, which are cut into `count`."""
        return Shard(self.rank * count + number, self.size * count)


WHOLE = Shard()

_meetings = itertools.count()  # each process counts alike, for each takes part in all of them


def join(device: torch.device) -> Shard:
    """Join the process group that `torchrun` describes in the environment; without one, `WHOLE`.

    On GPUs `device` becomes this process's current one: NCCL refuses two processes on the same GPU.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if launched().size == 1:
        return WHOLE
    if not joined():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        store, rank, size = _meeting()
        # Under the name of an earlier meeting lie the addresses of threads that are gone.
        place = dist.PrefixStore(f"genlab-{next(_meetings)}", store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=place, rank=rank, world_size=size)
    return here()


@contextmanager
def together(device: torch.device) -> Iterator[Shard]:
    """Join the other processes for a while; a group that the caller is in already stays as it is."""
    found = joined()
    try:
        yield join(device)
    finally:
        if not found:
            leave()


@cache
def _meeting() -> tuple[Any, int, int]:
    """Return the store in which processes leave their addresses, and rank and size; once, for it takes a port."""
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    return store, rank, size


def rank0_first(work: Callable[[], T]) -> T:
    """Return what `work` returns; the first process does it before the others, who find what it left behind."""
    if here().rank == 0:
        done = work()
        barrier()
        return done
    barrier()
    return work()


def launched() -> Shard:
    """Return what `torchrun` says of this process, whether or not the group is joined."""
    return Shard(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def leave() -> None:
    """Leave the process group, if one was joined."""
    if joined():
        dist.destroy_process_group()


def joined() -> bool:
    """Return whether this process is in a group; PyTorch may be built without any."""
    return dist.is_available() and dist.is_initialized()


def here() -> Shard:
    """Return which rows of the global batch this process computes on."""
    return Shard(dist.get_rank(), dist.get_world_size()) if joined() else WHOLE


def world_size() -> int:
    """Return how many processes train together."""
    return here().size


def all_reduce_mean_(tensor: Tensor) -> Tensor:
    """Replace `tensor` by its mean over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()
    return tensor


def broadcast_(tensor: Tensor) -> Tensor:
    """Replace `tensor` by the first process's, in place."""
    if world_size() > 1:
        dist.broadcast(tensor, 0)
    return tensor


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        dist.barrier()


def broadcast_object(text: str) -> str:
    """Return the first process's `text` on every process."""
    box = [text]
    if world_size() > 1:
        dist.broadcast_object_list(box, 0)
    return box[0]


def all_gather_object(value: T) -> list[T]:
    """Return the `value` of every process, on each of them."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


class _AverageOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401 (torch leaves the type of ctx open)
        return all_reduce_mean_(tensor.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        return all_reduce_mean(gradients[0])


def all_reduce_mean(tensor: Tensor) -> Tensor:
    """Return the mean of `tensor` over all processes, differentiably.

    With the loss of the run the mean of the processes' losses, and gradients averaged in the end, the
    derivative of a mean over processes is the mean of the processes' derivatives.
    """
    if world_size() == 1:
        return tensor
    return cast("Tensor", _AverageOverProcesses.apply(tensor))  # type: ignore[no-untyped-call]


def gather(rows: Tensor) -> Tensor:
    """Return the global batch of which each process has `rows`, differentiably, by the convention of `average`."""
    shard = here()
    if shard.size == 1:
        return rows
    whole = rows.new_zeros(len(rows) * shard.size, *rows.shape[1:])
    positions = shard.rows(torch.arange(len(whole), device=rows.device))
    return all_reduce_mean(whole.index_add(0, positions, rows)) * shard.size
