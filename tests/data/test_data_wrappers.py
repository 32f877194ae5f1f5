"""Pairs, unpaired sets, degraded examples, smaller images: a loader treats each as any other split."""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.distributed import Shard
from genlab.core.errors import DataError
from genlab.core.modality import Classes, DataSpec, Images, Modality, Points
from genlab.core.random import Draws
from genlab.core.reading import Direction, Reads
from genlab.data.dataset import Dataset, Source, Split, conditions_of, make_dataset
from genlab.data.loader import Loader, mirrored
from genlab.data.translation import open_translation
from genlab.data.wrappers import Degraded, Paired, Resized, Unpaired
from genlab.regularizers.corruption import gaussian

SPLITS = ("paired", "unpaired", "degraded")
every_wrapper = pytest.mark.parametrize("kind", SPLITS)
Degrade = Callable[[Tensor, Draws], Tensor]
NOISE: Degrade = partial(gaussian, level=0.1)


def pictures(name: str, count: int, seed: int, *, side: int = 4, labelled: bool = False) -> Dataset:
    """Return random pictures, of which none looks the same in a mirror."""
    values = np.random.default_rng(seed).integers(0, 256, (count, 1, side, side), np.uint8)
    assert not (values == values[..., ::-1]).all((1, 2, 3)).any()
    labels = np.arange(count) % 3 if labelled else None
    return make_dataset(name, values, labels, ("a", "b", "c") if labelled else ())


def numbered(name: str, count: int) -> Dataset:
    """Return points, of which number i is at (i, −i)."""
    places = np.arange(count, dtype=np.float32)
    return make_dataset(name, np.stack([places, -places], 1), None, ())


def wrapped(kind: str, count: int = 10, sources: int = 7) -> Split:
    """Return labelled pictures with a source each."""
    targets = pictures("photos", count, 0, labelled=True)
    match kind:
        case "paired":
            return Paired(targets, pictures("sketches", count, 1))
        case "unpaired":
            return Unpaired(targets, pictures("paintings", sources, 2), seed=5)
        case _:
            return Degraded(targets, NOISE, "gaussian 0.1", seed=5)


def read(split: Split, batch: int, count: int, *, shard: Shard | None = None, **options: object) -> list[Batch]:
    """Return batches of a loader."""
    parts = {} if shard is None else {"shard": shard}
    with Loader(split, batch, seed=3, **parts, **options) as loader:  # type: ignore[arg-type]
        return list(itertools.islice(loader, count))


def assert_equal(one: Batch, other: Batch) -> None:
    assert torch.equal(one.index, other.index)
    assert torch.equal(one.x, other.x)
    assert one.condition.keys() == other.condition.keys()
    for name, value in one.condition.items():
        assert torch.equal(value, other.condition[name]), name


def numbers(points: Tensor) -> list[int]:
    """Return the numbers of `numbered` points."""
    assert torch.equal(points[:, 1], -points[:, 0])
    return [int(number) for number in points[:, 0]]


# what all have


@every_wrapper
def test_a_wrapper_has_what_its_target_has_and_a_source(kind: str) -> None:
    split = wrapped(kind)
    targets = pictures("photos", 10, 0, labelled=True)
    assert (split.name, len(split)) == ("photos", 10)
    assert split.spec.target == targets.spec.target
    assert split.spec.conditions == {"label": Classes(("a", "b", "c")), "source": Images(1, 4, 4)}
    assert split.labels is not None
    assert targets.labels is not None
    assert split.labels.tolist() == targets.labels.tolist()
    index = np.array([4, 0, 9, 4])
    batch, plain = split.batch(index), targets.batch(index)
    assert torch.equal(batch.x, plain.x)
    assert torch.equal(batch.index, plain.index)
    assert torch.equal(batch.condition["label"], plain.condition["label"])
    assert batch.condition.keys() == split.spec.conditions.keys()
    split.spec.conditions["source"].check(batch.condition["source"], 4, "source")
    assert (split.values[index] == targets.values[index]).all()


@every_wrapper
def test_without_an_epoch_it_is_the_first(kind: str) -> None:
    split, index = wrapped(kind), np.arange(10)
    assert_equal(split.batch(index), split.batch(index, np.zeros(10, dtype=np.int64)))


@every_wrapper
@pytest.mark.parametrize("names", [(), ("label",), ("source",), ("source", "label", "unknown")])
def test_conditions_can_be_had_without_the_examples(kind: str, names: tuple[str, ...]) -> None:
    split, index = wrapped(kind), np.array([8, 1, 1])
    found, expected = conditions_of(split, index, names), split.batch(index).condition_for(names)
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


@every_wrapper
@pytest.mark.parametrize("flip", [False, True])
def test_two_shards_together_are_the_global_batch(kind: str, flip: bool) -> None:
    whole = read(wrapped(kind), 6, 8, flip=flip)
    shards = [read(wrapped(kind), 6, 8, flip=flip, shard=Shard(rank, 2)) for rank in range(2)]
    for expected, *halves in zip(whole, *shards, strict=True):
        assert [len(half) for half in halves] == [3, 3]
        for rank, half in enumerate(halves):
            assert_equal(half, expected[3 * rank : 3 * rank + 3])


@every_wrapper
@settings(max_examples=10)
@given(length=st.integers(1, 12), batch=st.integers(1, 9), position=st.integers(0, 20), flip=st.booleans())
def test_a_loader_continues_to_the_same_bits(
    kind: str, length: int, batch: int, position: int, flip: bool
) -> None:
    later = read(wrapped(kind, length), batch, position + 3, flip=flip)[position:]
    resumed = read(wrapped(kind, length), batch, 3, flip=flip, position=position)
    for expected, found in zip(later, resumed, strict=True):
        assert_equal(found, expected)


@every_wrapper
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_source_is_mirrored_with_its_target(kind: str, channels_last: bool) -> None:
    split = wrapped(kind, count=40, sources=23)
    (batch,) = read(split, 40, 1, flip=True, channels_last=channels_last)
    index = batch.index.numpy()
    plain, turned = split.batch(index), mirrored(3, np.zeros(40, dtype=np.int64), index)
    assert 8 < turned.sum() < 32
    for name, found, expected in (
        ("target", batch.x, plain.x),
        ("source", batch.condition["source"], plain.condition["source"]),
    ):
        for row, same, mirror in zip(found, expected, turned, strict=True):
            assert not torch.equal(same, same.flip(-1))  # a mirror shows
            assert torch.equal(row, same.flip(-1) if mirror else same), name
    assert torch.equal(batch.condition["label"], plain.condition["label"])


def test_points_have_no_mirror_image() -> None:
    split = Paired(pictures("photos", 20, 0), numbered("places", 20))
    assert split.spec.conditions == {"source": Points(2)}
    (batch,) = read(split, 20, 1, flip=True)
    assert not torch.equal(batch.x, split.batch(batch.index.numpy()).x)
    assert numbers(batch.condition["source"]) == batch.index.tolist()


def test_the_fingerprint_is_that_of_all_that_is_read() -> None:
    one, other, third = (pictures("pictures", 10, seed) for seed in range(3))
    marks = [
        one.fingerprint,
        Paired(one, other).fingerprint,
        Paired(other, one).fingerprint,
        Paired(one, third).fingerprint,
        Paired(third, other).fingerprint,
        Unpaired(one, other, seed=0).fingerprint,
        Unpaired(other, one, seed=0).fingerprint,
        Unpaired(one, third, seed=0).fingerprint,
        Unpaired(one, other, seed=1).fingerprint,
        Degraded(one, NOISE, "gaussian 0.1", seed=0).fingerprint,
        Degraded(one, NOISE, "gaussian 0.2", seed=0).fingerprint,
        Degraded(one, NOISE, "gaussian 0.1", seed=1).fingerprint,
        Degraded(other, NOISE, "gaussian 0.1", seed=0).fingerprint,
        Paired(Paired(one, other), third).fingerprint,
    ]
    assert len(set(marks)) == len(marks)
    for mark in marks:
        int(mark, 16)
    again = [pictures("renamed", 10, seed) for seed in range(2)]
    assert Paired(*again).fingerprint == Paired(one, other).fingerprint
    assert Unpaired(*again, seed=0).fingerprint == Unpaired(one, other, seed=0).fingerprint
    assert (
        Degraded(again[0], NOISE, "gaussian 0.1", seed=0).fingerprint
        == Degraded(one, NOISE, "gaussian 0.1", seed=0).fingerprint
    )


@every_wrapper
def test_a_batch_shares_no_memory_with_the_data(kind: str) -> None:
    split, index = wrapped(kind), np.arange(10)
    before, spoilt = split.batch(index), split.batch(index)
    for tensor in (spoilt.x, spoilt.index, *spoilt.condition.values()):
        tensor.fill_(9)
    assert_equal(split.batch(index), before)


def test_of_a_split_that_is_a_source_the_targets_are_given() -> None:
    inner = Degraded(pictures("photos", 6, 0), NOISE, "gaussian 0.1", seed=0)
    outer = Paired(numbered("places", 6), inner)
    assert outer.spec.conditions == {"source": Images(1, 4, 4)}
    for epoch in range(2):
        sources = outer.batch(np.arange(6), np.full(6, epoch)).condition["source"]
        assert torch.equal(sources, inner.batch(np.arange(6)).x)


# pairs


@pytest.mark.parametrize(("targets", "sources"), [(10, 9), (9, 10), (1, 0)])
def test_pairs_of_unequal_length_are_refused(targets: int, sources: int) -> None:
    with pytest.raises(DataError, match=f"{targets} targets of photos .* {sources} sources of sketches"):
        Paired(numbered("photos", targets), numbered("sketches", sources))


def test_a_pair_is_of_one_position_in_every_epoch() -> None:
    split = Paired(numbered("photos", 10), numbered("sketches", 10))
    for batch in read(split, 4, 10):
        assert numbers(batch.x) == numbers(batch.condition["source"]) == batch.index.tolist()


def test_the_sources_of_the_rotated_ring_are_a_quarter_turn_clockwise(opened: Callable[..., Source]) -> None:
    source = opened("rotated-ring8")
    for split in (source.train, source.held_out):
        assert split.spec.conditions == {"source": Points(2)}
        batch = split.batch(np.arange(1000))
        x, y = batch.x.T
        assert torch.equal(batch.condition["source"], torch.stack([y, -x], 1))


@pytest.mark.parametrize(("size", "side"), [(None, 32), (8, 8)])
def test_the_sources_of_paired_digits_are_turned_negatives(
    opened: Callable[..., Source], size: int | None, side: int
) -> None:
    source, digits = opened("paired-digits", size=size), opened("digits", size=size)
    for split, plain in ((source.train, digits.train), (source.held_out, digits.held_out)):
        assert split.spec == DataSpec(Images(1, side, side), {"source": Images(1, side, side)})
        assert split.labels is None
        index = np.arange(len(plain))
        batch = split.batch(index)
        assert torch.equal(batch.x, plain.batch(index).x)
        torch.testing.assert_close(batch.condition["source"], torch.rot90(-batch.x, dims=(2, 3)))
    assert source.train.fingerprint == opened("paired-digits", size=size).train.fingerprint
    assert source.train.fingerprint != source.held_out.fingerprint


@pytest.mark.parametrize("reads", ["pairs", "sides", "styles"])
@pytest.mark.parametrize("direction", ["a-to-b", "b-to-a"])
def test_paired_digits_are_read_as_models_ask_for_them(reads: Reads, direction: Direction) -> None:
    opened, plain = (
        open_translation("paired-digits", r, direction=d, size=8)
        for r, d in ((reads, direction), ("pairs", "a-to-b"))
    )
    pair = plain.train.batch(np.arange(100))
    batch = opened.train.batch(np.arange(100))
    target, source = (pair.x, pair.condition["source"])[:: 1 if direction == "a-to-b" else -1]
    assert torch.equal(batch.x, target)
    assert torch.equal(batch.condition["source"], source) == opened.train.spec.aligned == (reads == "pairs")
    assert opened.held_out.spec.aligned == (reads != "styles")
    if reads == "styles":
        assert torch.equal(batch.condition["style"], batch.x)
    assert opened.domains == plain.domains[:: 1 if direction == "a-to-b" else -1]


# unpaired sets


def epochs_of(split: Unpaired, count: int) -> list[list[int]]:
    """Return the numbers of the sources of all targets, in each of the first epochs."""
    index = np.arange(len(split))
    return [numbers(split.batch(index, np.full(len(split), epoch)).condition["source"]) for epoch in range(count)]


@settings(max_examples=30)
@given(targets=st.integers(1, 20), sources=st.integers(1, 20), epochs=st.integers(1, 12))
def test_all_sources_are_used_equally_often(targets: int, sources: int, epochs: int) -> None:
    split = Unpaired(numbered("photos", targets), numbered("paintings", sources), seed=1)
    used = np.bincount(list(itertools.chain(*epochs_of(split, epochs))), minlength=sources)
    assert len(used) == sources
    assert used.sum() == targets * epochs
    assert used.max() - used.min() <= 1


@pytest.mark.parametrize(("targets", "sources"), [(10, 4), (4, 10), (6, 6)])
def test_a_loader_uses_all_sources_equally_often(targets: int, sources: int) -> None:
    split = Unpaired(numbered("photos", targets), numbered("paintings", sources), seed=1)
    batches = read(split, 2, targets * sources // 2)  # as many epochs of the targets as there are sources
    used = np.bincount([number for batch in batches for number in numbers(batch.condition["source"])])
    assert used.tolist() == [targets] * sources


def test_the_order_of_the_sources_is_another_with_another_seed_and_in_another_epoch() -> None:
    data = numbered("photos", 50), numbered("paintings", 50)
    first, again, other = (epochs_of(Unpaired(*data, seed=seed), 3) for seed in (0, 0, 1))
    assert first == again
    orders = [tuple(order) for order in (*first, *other, range(50))]
    assert len(set(orders)) == len(orders)
    for one, two in itertools.combinations(orders, 2):
        assert sum(a == b for a, b in zip(one, two, strict=True)) < 8  # one in the mean


def test_the_source_of_a_target_depends_on_seed_epoch_and_position_alone() -> None:
    split = Unpaired(numbered("photos", 9), numbered("paintings", 5), seed=2)
    known = epochs_of(split, 6)
    index, epochs = (draw.flatten() for draw in np.meshgrid(np.arange(9), np.arange(6)))
    order = np.random.default_rng(0).permutation(len(index))
    index, epochs = index[order], epochs[order]
    fresh = Unpaired(numbered("photos", 9), numbered("paintings", 5), seed=2)
    expected = [known[epoch][place] for place, epoch in zip(index, epochs, strict=True)]
    assert numbers(fresh.batch(index, epochs).condition["source"]) == expected
    for start in range(0, len(index), 7):
        part = slice(start, start + 7)
        assert numbers(fresh.batch(index[part], epochs[part]).condition["source"]) == expected[part]


# degraded examples


def noise(split: Degraded, index: list[int], epochs: list[int]) -> Tensor:
    batch = split.batch(np.array(index), np.array(epochs))
    clean = split.target.batch(np.array(index)).x
    assert torch.equal(batch.x, clean)  # the target is always the clean one
    return batch.condition["source"] - clean


def degraded(seed: int = 0, degrade: Degrade = NOISE) -> Degraded:
    return Degraded(pictures("photos", 12, 0, side=16), degrade, "noise", seed)


def test_noise_depends_on_seed_epoch_and_index_alone() -> None:
    split = degraded()
    index, epochs = [3, 0, 11, 3, 3], [0, 2, 1, 1, 0]
    together = noise(split, index, epochs)
    for row, place, epoch in zip(together, index, epochs, strict=True):
        assert torch.equal(noise(degraded(), [place], [epoch])[0], row)
    assert torch.equal(noise(split, index[::-1], epochs[::-1]), together.flip(0))
    assert torch.equal(together[0], together[4])
    torch.manual_seed(7)  # the global stream has no part in it
    assert torch.equal(noise(split, index, epochs), together)


def test_noise_is_another_for_each_seed_epoch_and_index() -> None:
    draws = [
        noise(degraded(seed), [index], [epoch]).flatten()
        for seed, epoch, index in itertools.product((0, 1), (0, 1, 2), (0, 1, 5))
    ]
    for one, other in itertools.combinations(draws, 2):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.3  # one deviation is 1/16
    assert torch.stack(draws).std().item() == pytest.approx(0.2, rel=0.1)


def test_a_loader_gives_new_noise_in_each_epoch_and_the_clean_target() -> None:
    split = degraded()
    seen: dict[int, list[Tensor]] = {}
    for batch in read(split, 4, 9):  # three epochs
        assert torch.equal(batch.x, split.target.batch(batch.index.numpy()).x)
        for index, source in zip(batch.index.tolist(), batch.condition["source"], strict=True):
            seen.setdefault(index, []).append(source)
    assert seen.keys() == set(range(12))
    for sources in seen.values():
        assert len(sources) == 3
        assert not any(torch.equal(one, other) for one, other in itertools.combinations(sources, 2))


def test_what_degrades_sees_one_example_at_a_time() -> None:
    shapes = []

    def darker(x: Tensor, draws: Draws) -> Tensor:
        shapes.append(tuple(x.shape))
        return x - draws.uniform(1, 1, 1)

    batch = degraded(degrade=darker).batch(np.array([2, 7, 1]))
    assert shapes == [(1, 1, 16, 16)] * 3
    drop = (batch.x - batch.condition["source"]).flatten(1)
    torch.testing.assert_close(drop, drop[:, :1].expand_as(drop))
    assert len(set(drop[:, 0].tolist())) == 3


# smaller images


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_smaller_image_has_the_mean_of_each_block(factor: int) -> None:
    full = pictures("photos", 5, 0, side=8, labelled=True)
    small = Resized(full, Images(1, 8 // factor, 8 // factor))
    index = np.array([4, 0, 4])
    batch, whole = small.batch(index), full.batch(index)
    blocks = whole.x.unfold(2, factor, factor).unfold(3, factor, factor).mean((4, 5))
    torch.testing.assert_close(batch.x, blocks, rtol=0, atol=0.5 / 127.5 + 1e-6)
    assert torch.equal(batch.condition["label"], whole.condition["label"])
    assert (small.name, len(small), small.spec.conditions) == ("photos", 5, full.spec.conditions)
    assert small.labels is not None
    stored = make_dataset("stored", small.values, small.labels, ("a", "b", "c"))
    assert small.values.shape == (5, 1, 8 // factor, 8 // factor)
    assert stored.spec == small.spec  # bytes stay bytes
    assert torch.equal(stored.batch(index).x, batch.x)
    assert factor > 1 or torch.equal(batch.x, whole.x)


def test_real_numbers_are_not_rounded() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (3, 2, 6, 4)).astype(np.float32)
    small = Resized(make_dataset("maps", values, None, ()), Images(2, 3, 2, levels=None))
    blocks = torch.from_numpy(values).unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(small.batch(np.arange(3)).x, blocks)


@every_wrapper
def test_images_among_the_conditions_are_reduced_alike(kind: str) -> None:
    small, index = Resized(wrapped(kind), Images(1, 2, 2)), np.arange(10)
    assert small.spec.conditions == {"label": Classes(("a", "b", "c")), "source": Images(1, 2, 2)}
    for epoch in (0, 1):
        epochs = np.full(10, epoch)
        given, whole = (split.batch(index, epochs).condition["source"] for split in (small, wrapped(kind)))
        blocks = whole.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        torch.testing.assert_close(given, blocks)


@pytest.mark.parametrize(
    "modality",
    [Images(1, 3, 3), Images(1, 8, 8), Images(1, 2, 4), Images(3, 2, 2), Images(1, 2, 2, None), Points(2)],
)
def test_a_size_that_no_whole_number_leads_to_is_refused(modality: Modality) -> None:
    with pytest.raises(DataError, match="photos cannot be resized"):
        Resized(pictures("photos", 2, 0), modality)


def test_a_condition_that_the_factor_does_not_divide_is_refused() -> None:
    split = Paired(pictures("photos", 2, 0, side=8), pictures("sketches", 2, 1, side=6))
    with pytest.raises(DataError, match="whose sides cannot be divided by 4"):
        Resized(split, Images(1, 2, 2))


def test_points_cannot_be_resized() -> None:
    with pytest.raises(DataError, match="only images can be"):
        Resized(numbered("places", 2), Points(1))


def test_the_fingerprint_tells_sizes_apart() -> None:
    full = pictures("photos", 5, 0, side=8)
    marks = {full.fingerprint, *(Resized(full, Images(1, side, side)).fingerprint for side in (4, 2))}
    assert len(marks) == 3
