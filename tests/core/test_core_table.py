"""Rows of tables as vectors: what is encoded comes back, in the range and with the decimals of the training."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genlab.core.column import BINS, Column
from genlab.core.table import Table

AMOUNT = Column("amount", mean=20.0, deviation=5.0, low=0.0, high=50.0, decimals=2, missing=True)
AGE = Column("age", mean=40.0, deviation=10.0, low=18.0, high=90.0, decimals=0)
PAID = Column("paid by", ("card", "cash", ""))
ROWS = Table(
    (AMOUNT, PAID, AGE),
    header=("paid by", "currency", "amount", "age", "fraud"),
    constants=(("currency", "EUR"),),
    ignored=("id",),
    label="fraud",
)


def entries(amount: float, paid: str, age: float) -> torch.Tensor:
    parts = [AMOUNT.encode(np.array([amount])), PAID.encode([paid]), AGE.encode(np.array([age]))]
    return torch.from_numpy(np.concatenate(parts, 1))


@given(
    amount=st.one_of(st.just(math.nan), st.integers(0, 5000).map(lambda cents: cents / 100)),
    paid=st.sampled_from(PAID.choices),
    age=st.integers(18, 90),
)
def test_a_row_comes_back_from_its_entries(amount: float, paid: str, age: int) -> None:
    (row,) = ROWS.decode(entries(amount, paid, age))
    assert row == {
        "paid by": paid or None,
        "currency": "EUR",
        "amount": None if math.isnan(amount) else amount,
        "age": age,
    }


def test_cells_have_all_decimals_and_the_order_of_the_file() -> None:
    x = torch.cat([entries(12.5, "cash", 30), entries(math.nan, "", 31)])
    assert list(ROWS.texts(x)) == [["cash", "EUR", "12.50", "30"], ["", "EUR", "", "31"]]
    assert next(ROWS.texts(x, ["1", "0"])) == ["cash", "EUR", "12.50", "30", "1"]
    assert ROWS.names() == ["paid by", "currency", "amount", "age"]
    assert ROWS.names(labelled=True)[-1] == "fraud"


def test_numbers_stay_in_the_range_of_the_training_rows() -> None:
    assert AGE.decode(torch.tensor([[100.0], [-100.0]])) == [90, 18]


def test_nothing_is_minus_zero() -> None:
    assert list(Table((Column("x", low=-1, high=1, decimals=1),)).texts(torch.tensor([[-0.01]]))) == [["0.0"]]


def test_a_number_without_known_decimals_is_kept() -> None:
    free = Column("x", mean=0.0, deviation=1.0, low=-9.0, high=9.0)
    assert free.decode(torch.tensor([[0.123456789]])) == [pytest.approx(0.123456789, rel=1e-6)]


def test_an_unknown_category_is_none_of_the_choices() -> None:
    assert PAID.encode(["cheque"]).tolist() == [[-1, -1, -1]]


def test_a_missing_number_is_the_mean_where_none_was_missing() -> None:
    assert AGE.encode(np.array([math.nan])).tolist() == [[0]]
    assert AMOUNT.encode(np.array([math.nan, 25])).tolist() == [[0, 1], [1, -1]]


@pytest.mark.parametrize("column", [AMOUNT, PAID, AGE])
def test_shares_add_up_to_one(column: Column) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(100, column.width)).astype(np.float32)
    shares = column.shares_of(x)
    assert shares.sum() == pytest.approx(1)
    assert len(shares) == (len(column.choices) or BINS + column.missing)


def test_numbers_outside_the_range_are_counted_at_its_ends() -> None:
    shares = AGE.shares_of(np.array([[-50], [50], [50]], np.float32))
    assert shares[0] == pytest.approx(1 / 3)
    assert shares[-1] == pytest.approx(2 / 3)


def test_a_histogram_shows_what_differs_from_the_training_rows() -> None:
    from dataclasses import replace

    x = np.array([[-1], [0], [1]], np.float32)
    known = Table((replace(AGE, shares=tuple(AGE.shares_of(x))),))
    same, other = known.draw(torch.from_numpy(x)), known.draw(torch.from_numpy(x + 1))
    assert same.shape == other.shape
    assert (same != other).any()
    assert (same != Table((AGE,)).draw(torch.from_numpy(x))).any()  # without the line


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a", "deviation": 0.0},
        {"name": "a", "mean": math.nan},
        {"name": 3},
        {"name": "a", "decimals": "two"},
        {"name": "a", "choices": (1, 2)},
    ],
)
def test_a_damaged_column_is_refused(values: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Table((values,))  # type: ignore[arg-type]


def test_a_table_without_entries_is_refused() -> None:
    with pytest.raises(ValueError, match="entries"):
        Table(())


def test_a_number_far_outside_the_training_range_stays_finite_and_far() -> None:
    column = Column("x", mean=1.0, deviation=0.5)
    assert column.encode(np.array([1e300, -1e300, 1.5])).ravel().tolist() == [1e6, -1e6, 1.0]
