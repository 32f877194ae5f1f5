"""Training in several processes: the rank and rows of each process, and the collectives.

Networks are not wrapped. Each process computes on its rows of the global batch; gradients are averaged in
`Player.update`, batch statistics in `BatchNorm`, signals when they are logged.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from genlab.core.errors import LostProcessError
from genlab.core.peers import Peer, described, this_process

if dist.is_available():
    # Its functions keep the process group that exists at import as a default argument. The first optimizer imports
    # it; if that happened after `join`, gloo's threads would outlive `leave`, and a thread that frees a tensor at
    # interpreter shutdown aborts the process ("terminate called without an active exception").
    import torch.distributed.nn.functional

T = TypeVar("T")
_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe|socket", re.IGNORECASE)  # in errors of torch
_peers: list[Peer] = []  # the processes of the group by rank


@dataclass(frozen=True)
class Shard:
    """The part of every global batch that belongs to this process."""

    rank: int = 0
    size: int = 1

    def rows(self, whole: Tensor) -> Tensor:
        """Return this process's rows of a tensor whose dimension 0 is the global batch."""
        each = len(whole) // self.size
        return whole[self.rank * each : (self.rank + 1) * each]

    def part(self, number: int, count: int) -> "Shard":
        """Return the shard of part `number` of this process's rows, cut into `count` parts."""
        return Shard(self.rank * count + number, self.size * count)


WHOLE = Shard()

_group_numbers = itertools.count()  # the same in every process, because each joins every group


def join(device: torch.device) -> Shard:
    """Join the process group that `torchrun` describes in the environment; return `WHOLE` if there is none.

    On GPUs `device` becomes this process's current device: NCCL refuses two processes on the same GPU.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if torchrun_shard().size == 1:
        return WHOLE
    if not in_group():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        store, rank, size = _rendezvous()
        # Each group needs a new prefix: under an old one the store has the addresses of closed connections.
        prefixed = dist.PrefixStore(f"genlab-{next(_group_numbers)}", store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=prefixed, rank=rank, world_size=size)
    _peers[:] = all_gather_object(this_process())
    return current_shard()


@contextmanager
def process_group(device: torch.device) -> Iterator[Shard]:
    """Join the process group inside the context; a group that the caller has joined already is kept."""
    joined_before = in_group()
    try:
        shard = join(device)
        with losses_named():
            yield shard
    finally:
        if not joined_before:
            leave()


@contextmanager
def losses_named() -> Iterator[None]:
    """Turn the error of torch when the connection to a process is lost into one that says which has ended.

    Raises:
        LostProcessError: one of the processes has ended.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not _LOST.search(str(error)):
            raise
        raise LostProcessError(f"{described(_peers)}, and the others cannot continue without it.") from error


@cache
def _rendezvous() -> tuple[Any, int, int]:
    """Return the store in which processes find each other, rank and size; cached, because it binds a port."""
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    return store, rank, size


def rank0_first(work: Callable[[], T]) -> T:
    """Return the result of `work`; the first process runs it before the others, which find its files ready."""
    if current_shard().rank == 0:
        result = work()
        barrier()
        return result
    barrier()
    return work()


def torchrun_shard() -> Shard:
    """Return the rank and size that `torchrun` gave this process, whether or not it has joined the group."""
    return Shard(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def leave() -> None:
    """Leave the process group, if this process is in one."""
    if in_group():
        dist.destroy_process_group()


def in_group() -> bool:
    """Return whether this process is in a process group; PyTorch may be built without support for them."""
    return dist.is_available() and dist.is_initialized()


def current_shard() -> Shard:
    """Return the shard of this process in its group; `WHOLE` outside a group."""
    return Shard(dist.get_rank(), dist.get_world_size()) if in_group() else WHOLE


def world_size() -> int:
    """Return the number of processes."""
    return current_shard().size


def all_reduce_mean_(tensor: Tensor) -> Tensor:
    """Replace `tensor` by its mean over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()
    return tensor


def all_reduce_max_(tensor: Tensor) -> Tensor:
    """Replace `tensor` by the largest of all processes, element by element, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return tensor


def barrier() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()


def broadcast_object(text: str) -> str:
    """Return the first process's `text` on every process."""
    box = [text]
    if world_size() > 1:
        dist.broadcast_object_list(box, 0)
    return box[0]


def all_gather_object(value: T) -> list[T]:
    """Return the values of all processes, on every process."""
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

    A run's loss is the mean of the processes' losses, and their gradients are averaged at the end. So the gradient
    of a mean over processes is the mean of the processes' gradients.
    """
    if world_size() == 1:
        return tensor
    return cast("Tensor", _AverageOverProcesses.apply(tensor))  # type: ignore[no-untyped-call]


def gather(rows: Tensor) -> Tensor:
    """Return the global batch of which each process has `rows`, differentiably, as `all_reduce_mean` does."""
    shard = current_shard()
    if shard.size == 1:
        return rows
    whole = rows.new_zeros(len(rows) * shard.size, *rows.shape[1:])
    positions = shard.rows(torch.arange(len(whole), device=rows.device))
    return all_reduce_mean(whole.index_add(0, positions, rows)) * shard.size
