import gc
import itertools
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.core.distributed import Shard
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images, Points
from genlab.data.dataset import Array, Dataset, IntArray, Stacked, Subset, make_dataset
from genlab.data.loader import BalancedOrder, Loader, mirrored, moved
from genlab.data.wrappers import Paired


def numbered(count: int, channels: int = 1, side: int = 2) -> Dataset:
    """Image i is filled with byte i and labelled i."""
    values = np.empty((count, channels, side, side), dtype=np.uint8)
    values[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return make_dataset("numbered", values, np.arange(count), tuple(map(str, range(count))))


def indices(dataset: Dataset, batch: int, count: int, **options: object) -> IntArray:
    with Loader(dataset, batch, seed=3, **options) as loader:  # type: ignore[arg-type]
        return np.stack([next(loader).index.numpy() for _ in range(count)])


def test_bytes_become_minus_one_to_one_exactly() -> None:
    ends = np.array([0, 255, 51], dtype=np.uint8).reshape(3, 1, 1, 1)
    images = make_dataset("ends", ends, None, ()).batch(np.arange(3)).x
    assert images.dtype == torch.float32
    assert images[:2].flatten().tolist() == [-1.0, 1.0]
    assert images[2].item() == pytest.approx(51 / 127.5 - 1, abs=1e-7)


def test_floats_stay_as_they_are() -> None:
    points = np.array([[0.25, -0.5]], dtype=np.float32)
    for values, modality in ((points, Points(2)), (points.reshape(1, 2, 1, 1), Images(2, 1, 1, levels=None))):
        dataset = make_dataset("floats", values, None, ())
        assert dataset.spec == DataSpec(modality)
        batch = dataset.batch(np.array([0, 0]))
        assert batch.x.shape == (2, *modality.shape)
        assert batch.x[1].flatten().tolist() == [0.25, -0.5]
        assert batch.condition == {}


def test_a_batch_does_not_share_memory_with_the_dataset() -> None:
    dataset = make_dataset("points", np.zeros((3, 2), dtype=np.float32), np.zeros(3, dtype=np.int64), ("a",))
    index = np.arange(3)
    batch = dataset.batch(index)
    batch.x.fill_(9)
    batch.index.fill_(9)
    batch.condition["label"].fill_(9)
    assert dataset.values[index].max() == 0
    assert dataset.labels is not None
    assert dataset.labels.max() == 0
    assert index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("length", "batch"), [(10, 4), (10, 10), (3, 8), (1, 2), (7, 3)])
def test_every_epoch_is_another_permutation(length: int, batch: int) -> None:
    stream = indices(numbered(length), batch, 6 * length).reshape(-1)
    epochs = stream[: 6 * batch * length].reshape(-1, length)
    assert (np.sort(epochs, axis=1) == np.arange(length)).all()
    if length > 5:
        assert len({tuple(epoch) for epoch in epochs}) > len(epochs) // 2


def test_rows_of_a_batch_belong_together() -> None:
    with Loader(numbered(20), 6, seed=0) as loader:
        for batch in itertools.islice(loader, 5):
            assert torch.equal(batch.condition["label"], batch.index)
            assert torch.allclose((batch.x[:, 0, 0, 0] + 1) * 127.5, batch.index.float(), atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 30), batch=st.integers(1, 20), position=st.integers(0, 40), turned=st.booleans())
def test_a_loader_continues_bit_for_bit(length: int, batch: int, position: int, turned: bool) -> None:
    dataset = make_dataset(
        "noise", np.random.default_rng(0).integers(0, 256, (length, 3, 4, 4), np.uint8), None, ()
    )
    with Loader(dataset, batch, seed=1, flip=turned, shift=int(turned)) as whole:
        later = list(itertools.islice(whole, position, position + 3))
        assert whole.position == position + 3
    with Loader(dataset, batch, seed=1, flip=turned, shift=int(turned), position=position) as resumed:
        for expected in later:
            got = next(resumed)
            assert torch.equal(got.index, expected.index)
            assert torch.equal(got.x, expected.x)


def test_the_seed_decides() -> None:
    with (
        Loader(numbered(50), 50, seed=0) as a,
        Loader(numbered(50), 50, seed=0) as b,
        Loader(numbered(50), 50, seed=1) as c,
    ):
        first, same, other = next(a), next(b), next(c)
    assert torch.equal(first.index, same.index)
    assert not torch.equal(first.index, other.index)


def test_position_counts_what_was_delivered_not_what_was_made_ahead() -> None:
    with Loader(numbered(10), 2, seed=0, position=5) as loader:
        time.sleep(0.05)
        assert loader.position == 5
        next(loader)
        assert loader.position == 6


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_shards_partition_the_global_batch(size: int) -> None:
    whole = indices(numbered(10), 6, 8)
    parts = [indices(numbered(10), 6, 8, shard=Shard(rank, size)) for rank in range(size)]
    assert (np.concatenate(parts, axis=1) == whole).all()


@pytest.mark.parametrize(("batch", "size"), [(5, 2), (0, 1), (-4, 1)])
def test_a_batch_that_cannot_be_shared_is_a_usage_error(batch: int, size: int) -> None:
    with pytest.raises(UsageError, match=f"batch of {batch}"):
        Loader(numbered(10), batch, seed=0, shard=Shard(0, size))


def test_an_empty_dataset_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="empty"):
        Loader(make_dataset("none", np.zeros((0, 1, 2, 2), np.uint8), None, ()), 2, seed=0)


def test_flip_mirrors_about_half_left_to_right_and_nothing_else() -> None:
    values = np.random.default_rng(0).integers(0, 256, (64, 3, 8, 8), np.uint8)
    dataset = make_dataset("noise", values, None, ())
    with Loader(dataset, 64, seed=0, flip=True) as loader:
        batch = next(loader)
    plain = dataset.batch(batch.index.numpy()).x
    turned = [not torch.equal(row, same) for row, same in zip(batch.x, plain, strict=True)]
    for row, same, flipped in zip(batch.x, plain, turned, strict=True):
        assert torch.equal(row, same.flip(-1) if flipped else same)
    assert 16 < sum(turned) < 48


def test_shift_moves_each_image_and_its_source_together_and_repeats_their_borders() -> None:
    values = np.random.default_rng(0).integers(0, 256, (64, 3, 8, 8), np.uint8)
    dataset = make_dataset("noise", values, None, ())
    pairs = Paired(dataset, make_dataset("negatives", 255 - values, None, ()))
    with Loader(pairs, 64, seed=0, shift=2) as loader:
        batch = next(loader)
    by = moved(0, np.zeros(64, np.int64), batch.index.numpy(), 2)
    assert {*by[:, 0]} == {*by[:, 1]} == {-2, -1, 0, 1, 2}
    for row, index, (down, right) in zip(batch.x, batch.index, by, strict=True):
        same = dataset.batch(index[None].numpy()).x[0]
        places = [(torch.arange(8) - int(step)).clamp(0, 7) for step in (down, right)]
        assert torch.equal(row, same[:, places[0]][:, :, places[1]])
    torch.testing.assert_close(batch.condition["source"], -batch.x)


def test_the_coin_is_fair_and_independent_of_seed_epoch_and_index() -> None:
    index = np.arange(20_000)
    base = mirrored(0, np.zeros_like(index), index)
    assert abs(base.mean() - 0.5) < 0.02
    for seed, epoch in [(1, 0), (0, 1), (0, 2)]:
        other = mirrored(seed, np.full_like(index, epoch), index)
        assert abs((base == other).mean() - 0.5) < 0.02
    assert abs((base[1:] == base[:-1]).mean() - 0.5) < 0.02
    assert (mirrored(0, np.zeros_like(index)[::-1], index[::-1]) == base[::-1]).all()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_memory_format(wanted: bool, flip: bool) -> None:
    with Loader(numbered(10, channels=3, side=4), 4, seed=0, channels_last=wanted, flip=flip) as loader:
        images = next(loader).x
    assert images.is_contiguous(memory_format=torch.channels_last if wanted else torch.contiguous_format)


class Broken:
    """Images whose reading fails after a while."""

    dtype = np.dtype(np.uint8)
    shape = (10, 1, 2, 2)

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: IntArray, /) -> Array:
        self.reads += 1
        if self.reads > 2:
            raise OSError("the disk is gone")
        return np.zeros((len(index), 1, 2, 2), np.uint8)


def test_errors_of_the_thread_surface_in_order_and_again() -> None:
    with Loader(Dataset("broken", Broken(), None, (), ""), 2, seed=0) as loader:
        next(loader)
        next(loader)
        for _ in range(2):
            with pytest.raises(OSError, match="the disk is gone"):
                next(loader)
        assert loader.position == 2


def threads() -> int:
    return sum(thread.name == "genlab-loader" for thread in threading.enumerate())


@pytest.mark.parametrize("end", [Loader.close, lambda loader: None])
def test_the_thread_ends_with_the_loader(end: Callable[[Loader], None]) -> None:
    before = threads()
    loader = Loader(numbered(10), 2, seed=0)
    next(loader)
    assert threads() == before + 1
    end(loader)
    del loader
    gc.collect()
    assert threads() == before


def test_a_closed_loader_does_not_hang() -> None:
    loader = Loader(numbered(10), 2, seed=0)
    loader.close()
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(itertools.islice(loader, 10))


class Slow(Broken):
    def __getitem__(self, index: IntArray, /) -> Array:
        time.sleep(0.05)
        return np.zeros((len(index), 1, 2, 2), np.uint8)


def test_waiting_is_measured() -> None:
    with Loader(Dataset("slow", Slow(), None, (), ""), 2, seed=0) as loader:
        for _ in range(4):
            next(loader)
        assert 0.1 < loader.waited < 2


def test_views_read_the_right_rows() -> None:
    values = numbered(10).values
    subset = Subset(values, np.array([7, 3, 5]))
    assert subset.shape == (3, 1, 2, 2)
    assert subset[np.array([2, 0])][:, 0, 0, 0].tolist() == [5, 7]
    stacked = Stacked(values, np.array([[1, 2, 3], [4, 5, 6]]))
    assert stacked.shape == (2, 3, 2, 2)
    assert stacked[np.array([1, 0])][:, :, 1, 1].tolist() == [[4, 5, 6], [1, 2, 3]]


def test_the_fingerprint_tells_images_labels_and_shape_apart() -> None:
    values, labels = np.arange(16, dtype=np.uint8).reshape(4, 1, 2, 2), np.array([0, 1, 0, 1])
    marks = {
        make_dataset("a", values, labels, ("x", "y")).fingerprint,
        make_dataset("b", values, None, ()).fingerprint,
        make_dataset("c", values, 1 - labels, ("x", "y")).fingerprint,
        make_dataset("d", values[::-1], labels, ("x", "y")).fingerprint,
        make_dataset("e", values.reshape(4, 1, 4, 1), labels, ("x", "y")).fingerprint,
    }
    assert len(marks) == 5
    again = make_dataset("f", Subset(values, np.arange(4)), labels.copy(), ("x", "y"))
    assert again.fingerprint in marks


def labelled(counts: Sequence[int]) -> Dataset:
    """Return a data set with so many images of each class."""
    values = np.random.default_rng(0).integers(0, 256, (sum(counts), 1, 4, 4), np.uint8)
    names = tuple(str(number) for number in range(len(counts)))
    return make_dataset("labelled", values, np.repeat(np.arange(len(counts)), counts), names)


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(0, 20), min_size=1, max_size=90).filter(any), start=st.integers(0, 500))
def test_a_balanced_order_draws_classes_equally_often_and_each_image_of_a_class_once_per_epoch(
    counts: list[int], start: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order, present = BalancedOrder(labels, seed=3), sum(count > 0 for count in counts)
    index, epochs = order.samples(0, 3 * order.block)
    drawn = np.bincount(labels[index], minlength=len(counts))
    assert (drawn[np.array(counts) > 0] == 3 * order.block // present).all()
    assert len({*zip(index, epochs, strict=True)}) == len(index)
    for label, count in enumerate(counts):
        its = labels[index] == label
        for epoch in range(drawn[label] // count if count else 0):
            assert sorted(index[its & (epochs == epoch)]) == list(np.flatnonzero(labels == label))
    again = np.concatenate([order.samples(start, start + 7), order.samples(start + 7, start + 40)], axis=1)
    assert (again == order.samples(start, start + 40)).all()


def test_balanced_batches_hold_rare_classes_as_often_as_others_and_continue_bit_for_bit() -> None:
    data = labelled([500, 3])
    with Loader(data, 16, seed=0, flip=True, shift=1, balance=True) as loader:
        batches = list(itertools.islice(loader, 8))
    rare = torch.cat([batch.condition["label"] for batch in batches]).float().mean()
    assert rare == 0.5
    with Loader(data, 16, seed=0, flip=True, shift=1, balance=True, position=5) as loader:
        later = next(loader)
    assert torch.equal(later.x, batches[5].x)
    assert torch.equal(later.index, batches[5].index)
    same = torch.cat([batch.x[batch.index == 500] for batch in batches])
    assert len(torch.unique(same, dim=0)) > 4, "an image that is repeated is mirrored and moved anew each time"


def test_balancing_data_without_labels_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no labels"):
        Loader(make_dataset("plain", np.zeros((4, 1, 2, 2), np.uint8), None, ()), 2, seed=0, balance=True)
