"""Pairs that belong together are told from shuffled ones."""

import numpy as np
import pytest

from genlab.data.dataset import IntArray, Split, make_dataset
from genlab.data.pair_relation import FEWEST, pair_relation
from genlab.data.source import open_source
from genlab.data.wrappers import Paired, Unpaired
from genlab.diagnosis.translation_checks import RELATED

DIGITS = open_source("paired-digits", size=16).train
COUNT = 400


def relation(order: IntArray) -> float:
    """Return the relation of digits to their sources, which are in `order`."""
    batch = DIGITS.batch(np.arange(COUNT))
    sides = (batch.x.numpy(), batch.condition["source"].numpy()[order])
    target, source = (make_dataset("test", np.round((x + 1) * 127.5).astype(np.uint8), None, ()) for x in sides)
    found = pair_relation(Paired(target, source))
    assert found is not None
    return found


def test_true_pairs_are_far_above_the_limit() -> None:
    assert relation(np.arange(COUNT)) > 4 * RELATED


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_pairs_are_below_it(seed: int) -> None:
    assert relation(np.random.default_rng(seed).permutation(COUNT)) < RELATED


@pytest.mark.parametrize("seed", range(3))
def test_it_is_enough_if_half_of_the_pairs_are_true(seed: int) -> None:
    order, half = np.arange(COUNT), np.random.default_rng(seed).permutation(COUNT)[: COUNT // 2]
    order[np.sort(half)] = half
    assert relation(order) > RELATED


def test_neighbours_and_reversed_orders_are_no_pairs() -> None:
    """The digits are in an order in which neighbours have nothing in common."""
    assert relation(np.roll(np.arange(COUNT), 1)) < RELATED
    assert relation(np.arange(COUNT)[::-1]) < RELATED


def test_without_pairs_or_with_too_few_there_is_no_answer() -> None:
    def unknown(split: Split) -> bool:
        return pair_relation(split) is None

    few = make_dataset("test", np.zeros((FEWEST - 1, 1, 8, 8), dtype=np.uint8), None, ())
    many = make_dataset(
        "test", np.random.default_rng(0).integers(0, 256, (100, 1, 8, 8), dtype=np.uint8), None, ()
    )
    same = make_dataset("test", np.zeros((100, 1, 8, 8), dtype=np.uint8), None, ())
    assert unknown(few)
    assert unknown(Paired(few, few))
    assert unknown(Unpaired(many, many, 0))
    assert unknown(Paired(same, same))  # no two sources differ
