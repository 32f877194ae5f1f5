"""Endless batches, in an order that depends only on the seed and the position."""

import threading
import time
import weakref
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.distributed import WHOLE, Shard
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.random import derive_seed, generator
from genlab.data.dataset import Array, IntArray, Split

_CPU = torch.device("cpu")
_AHEAD = 3  # batches that are prefetched
_BLOCK = 64  # samples in which all classes are drawn equally often, if there are fewer of them


class Order:
    """The endless stream of dataset indices: one seeded permutation per epoch."""

    def __init__(self, length: int, seed: int, purpose: str = "order") -> None:
        self.length = length
        self.seed = seed
        self.purpose = purpose
        self._known: tuple[int, IntArray] = (-1, np.empty(0, dtype=np.int64))

    def epoch(self, epoch: int) -> IntArray:
        """Return the permutation of one epoch, `(length,)`."""
        known = self._known  # read once: another thread may read another epoch
        if known[0] != epoch:
            draw = torch.randperm(self.length, generator=generator(self.seed, self.purpose, epoch))
            self._known = known = epoch, draw.numpy()
        return known[1]

    def samples(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return the dataset index and the epoch of the samples `start` to `stop` of the stream."""
        epochs = np.arange(start, stop, dtype=np.int64) // self.length
        parts = []
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            first = max(start - epoch * self.length, 0)
            parts.append(self.epoch(epoch)[first : stop - epoch * self.length])
        return np.concatenate(parts), epochs


class BalancedOrder:
    """An endless stream of dataset indices in which all classes are equally frequent.

    Each class has an order of its own, and classes take turns at random: after each `block` samples, all have been
    drawn equally often. A rare class thus begins its next epoch while a common one is still in its first, and no
    two samples have the same index and epoch.

    Args:
        labels: the class of each example, (N,); classes without examples are never drawn.
        seed: of all orders.
    """

    def __init__(self, labels: IntArray, seed: int) -> None:
        self.seed = seed
        self._rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._orders = [Order(len(its), seed, f"class {number}") for number, its in enumerate(self._rows)]
        self.block = len(self._rows) * max(1, _BLOCK // len(self._rows))
        self._turns = Order(self.block, seed, "turns of the classes")

    def samples(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return the dataset index and the epoch of its class of the samples `start` to `stop` of the stream."""
        turns, blocks = self._turns.samples(start, stop)
        draws, classes = np.divmod(turns, len(self._rows))
        draws += blocks * (self.block // len(self._rows))  # how often its class was drawn before
        index, epochs = np.empty_like(draws), np.empty_like(draws)
        for number in np.unique(classes):
            rows, order, its = self._rows[number], self._orders[number], classes == number
            epochs[its], places = np.divmod(draws[its], len(rows))
            for epoch in np.unique(epochs[its]):
                now = epochs[its] == epoch
                index[np.flatnonzero(its)[now]] = rows[order.epoch(int(epoch))[places[now]]]
        return index, epochs


def mirrored(seed: int, epochs: IntArray, index: IntArray) -> npt.NDArray[np.bool_]:
    """Return which samples are mirrored, each with probability 1/2."""
    return (hashed(seed, "flip", epochs, index) >> np.uint64(63)).astype(np.bool_)


def moved(seed: int, epochs: IntArray, index: IntArray, most: int) -> IntArray:
    """Return by how many pixels samples are moved down and to the right, (B, 2), each from -most to most."""
    bits = hashed(seed, "shift", epochs, index)
    halves = np.stack([bits >> np.uint64(32), bits & np.uint64(0xFFFFFFFF)], axis=1)
    return (halves % np.uint64(2 * most + 1)).astype(np.int64) - most


def hashed(seed: int, purpose: str, epochs: IntArray, index: IntArray) -> npt.NDArray[np.uint64]:
    """Return 64 random bits for each sample, by (seed, purpose, epoch, index): splitmix64's finaliser."""
    key = np.uint64(derive_seed(seed, purpose))
    x = epochs.astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + key
    x = (x ^ index.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class _Plan:
    """What the prefetch thread works on: not the loader itself, which could then never be garbage-collected."""

    def __init__(
        self,
        dataset: Split,
        batch: int,
        seed: int,
        shard: Shard,
        device: torch.device,
        channels_last: bool,
        flip: bool,
        shift: int,
        balance: bool,
    ) -> None:
        self.dataset = dataset
        self.batch = batch
        self.shard = shard
        self.device = device
        self.channels_last = channels_last
        self.flip = flip
        self.shift = shift
        self.order = BalancedOrder(labels_of(dataset), seed) if balance else Order(len(dataset), seed)
        self.slots = threading.Semaphore(_AHEAD)
        self.ready: SimpleQueue[Batch | BaseException] = SimpleQueue()
        self.stopped = threading.Event()

    def make(self, position: int) -> Batch:
        """Return this process's rows of global batch `position`."""
        each = self.batch // self.shard.size
        start = position * self.batch + self.shard.rank * each
        index, epochs = self.order.samples(start, start + each)
        batch, spec = self.dataset.batch(index, epochs), self.dataset.spec
        which = mirrored(self.order.seed, epochs, index) if self.flip else None
        by = moved(self.order.seed, epochs, index, self.shift) if self.shift else None
        condition = {
            name: self._laid_out(value, spec.conditions[name], which, by)
            for name, value in batch.condition.items()
        }
        x = self._laid_out(batch.x, spec.target, which, by)
        return replace(batch, x=x, condition=condition).to(self.device)

    def _laid_out(
        self, x: Tensor, modality: Modality, mirror: npt.NDArray[np.bool_] | None, by: IntArray | None
    ) -> Tensor:
        """Return examples in the memory format for networks.

        Images are mirrored where `mirror` (B,) is true, and moved `by` (B, 2) pixels.
        """
        if modality.spatial == 2:
            values = x.numpy()
            if mirror is not None:
                values[mirror] = values[mirror][..., ::-1]
            if by is not None:
                x = torch.from_numpy(values := _shifted(values, by, self.shift))
            if self.channels_last:  # copied by NumPy, for the reason given in `Dataset.batch`
                x = torch.from_numpy(np.ascontiguousarray(values.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return x.pin_memory() if self.device.type == "cuda" else x

    def run(self, position: int) -> None:
        """Make batches from `position` on until stopped; an exception is passed on in place of a batch."""
        try:
            if self.device.type == "cuda":
                torch.cuda.set_device(self.device)  # each thread has a current GPU of its own
            while True:
                self.slots.acquire()
                if self.stopped.is_set():
                    return
                self.ready.put(self.make(position))
                position += 1
        except BaseException as error:
            self.ready.put(error)

    def stop(self, thread: threading.Thread) -> None:
        """End the thread and wait for it; a pending `next` raises RuntimeError."""
        self.stopped.set()
        self.slots.release()
        self.ready.put(RuntimeError("the loader is closed"))
        if thread is not threading.current_thread():  # the garbage collector may run in the thread itself
            thread.join()


def labels_of(split: Split) -> IntArray:
    """Return the class of each example.

    Raises:
        UsageError: the data have no labels.
    """
    if split.labels is None:
        raise UsageError(
            f"--balance draws all classes equally often, but {split.name} has no labels. Give a folder of images "
            "for each class, an .npz with labels or the --label of a table, or leave --balance out."
        )
    return split.labels


def _shifted(images: Array, by: IntArray, most: int) -> Array:
    """Return images (B, C, H, W) moved `by` (B, 2) pixels down and to the right; their borders are repeated."""
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    corners = most - by
    return np.stack(
        [
            each[:, top : top + height, left : left + width]
            for each, (top, left) in zip(padded, corners, strict=True)
        ]
    )


class Loader:
    """An endless iterator of batches, prefetched by one thread.

    The stream of samples is one permutation of the dataset per epoch. Global batch k holds samples kB to (k+1)B of
    the stream, so batches cross epochs, no sample is dropped, and a dataset may be smaller than a batch. A loader
    that starts at `position=k` continues bit for bit.

    Args:
        dataset: the split to read.
        batch: B, the size of the global batch.
        seed: of order and mirroring.
        shard: the contiguous rows of every global batch that this process gets.
        position: number of global batches that were delivered before.
        device: of the batches.
        channels_last: whether images are stored channels-last.
        flip: mirror each image left to right with probability 1/2, by (seed, epoch, index); a source picture is
            mirrored with its target.
        shift: most pixels by which each image is moved up, down, left and right, likewise.
        balance: draw all classes equally often, as `BalancedOrder` does, instead of each image once per epoch.

    Raises:
        UsageError: a batch size that is not positive or not divisible by the number of processes, an empty
            dataset, or one without labels to balance.
    """

    def __init__(
        self,
        dataset: Split,
        batch: int,
        *,
        seed: int,
        shard: Shard = WHOLE,
        position: int = 0,
        device: torch.device = _CPU,
        channels_last: bool = True,
        flip: bool = False,
        shift: int = 0,
        balance: bool = False,
    ) -> None:
        if batch < 1 or batch % shard.size:
            raise UsageError(
                f"a batch of {batch} cannot be divided among {shard.size} process(es): "
                f"choose a positive multiple of {shard.size}."
            )
        if not len(dataset):
            raise UsageError(f'the dataset "{dataset.name}" is empty.')
        self.position = position
        self.waited = 0.0
        self._plan = _Plan(dataset, batch, seed, shard, device, channels_last, flip, shift, balance)
        thread = threading.Thread(target=self._plan.run, args=(position,), name="genlab-loader", daemon=True)
        thread.start()
        # Also runs at garbage collection and at exit: a thread that computes during interpreter shutdown can abort
        # the process.
        self._close = weakref.finalize(self, self._plan.stop, thread)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        begin = time.perf_counter()
        made = self._plan.ready.get()
        self.waited += time.perf_counter() - begin
        if isinstance(made, BaseException):
            self._plan.ready.put(made)  # for the next call: the thread has ended
            raise made
        self._plan.slots.release()
        self.position += 1
        return made

    def close(self) -> None:
        """Stop the prefetch thread. Later calls of `next` return the ready batches, then raise RuntimeError."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
