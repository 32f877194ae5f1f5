import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.core.distributed import WHOLE, Shard
from genlab.core.random import Randomness, derive_seed, generator

keys = st.lists(st.integers(-5, 5) | st.sampled_from(["critic", "generator", "order"]), max_size=3)


def test_seeds_are_the_same_in_every_version() -> None:
    """A run that is resumed by a later genlab must draw what it would have drawn."""
    assert derive_seed(0) == 4246866556266386882
    assert derive_seed(3, "critic", 5, 1) == 2123077854587706480


@settings(deadline=None)
@given(st.integers(0, 100), keys, st.integers(0, 100), keys)
def test_every_argument_counts(seed: int, purpose: list[int | str], other: int, others: list[int | str]) -> None:
    assert 0 <= derive_seed(seed, *purpose) < 2**63
    assert (derive_seed(seed, *purpose) == derive_seed(other, *others)) == ((seed, purpose) == (other, others))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "ab", "1", "11"]), max_size=3), st.integers(0, 11))
def test_keys_do_not_run_together(purpose: list[str], seed: int) -> None:
    joined = "".join(purpose)
    assert (derive_seed(seed, *purpose) == derive_seed(seed, joined)) == (purpose == [joined])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_draws_of_all_processes_together_are_those_of_one(size: int) -> None:
    whole = Randomness(5).normal(12, (2, 3), "critic", 7)
    shards = [Randomness(5, Shard(rank, size)).normal(12 // size, (2, 3), "critic", 7) for rank in range(size)]
    assert whole.shape == (12, 2, 3)
    assert torch.equal(torch.cat(shards), whole)


def test_draws_are_normal_and_differ_by_seed_purpose_and_step() -> None:
    draws = [
        Randomness(seed).normal(4000, (2,), purpose, step)
        for seed, purpose, step in itertools.product((0, 1), ("critic", "generator"), (0, 1))
    ]
    for a, b in itertools.combinations(draws, 2):
        assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 0.06
    for draw in draws:
        assert abs(draw.mean()) < 0.06
        assert abs(draw.std() - 1) < 0.04


def test_the_global_stream_neither_matters_nor_moves() -> None:
    torch.manual_seed(0)
    once = Randomness(0).normal(3, (2,), "x")
    state = torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(Randomness(0).normal(3, (2,), "x"), once)
    torch.manual_seed(0)
    Randomness(0).normal(3, (2,), "x")
    generator(0, "y")
    assert torch.equal(torch.get_rng_state(), state)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 4))
def test_shards_partition_the_rows(each: int, size: int) -> None:
    whole = torch.arange(each * size)
    assert torch.equal(torch.cat([Shard(rank, size).rows(whole) for rank in range(size)]), whole)
    assert torch.equal(WHOLE.rows(whole), whole)
