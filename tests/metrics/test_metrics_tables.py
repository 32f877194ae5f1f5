import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from scipy.stats.contingency import association

import tables as table_rows
from genlab.core.column import Column
from genlab.core.table import Table
from genlab.metrics import tables

TABLE = table_rows.TABLE
ROWS, OTHERS = table_rows.rows(600, 0), table_rows.rows(500, 1)
INDEPENDENT = table_rows.rows(500, 2, independent=True)


def test_rows_have_no_distance_to_themselves_in_another_order() -> None:
    assert set(tables.column_distances(TABLE, ROWS, ROWS.flip(0)).values()) == {0.0}
    assert tables.pair_distance(TABLE, ROWS, ROWS.flip(0)) == pytest.approx(0, abs=1e-9)


def test_the_distance_of_numbers_is_that_of_their_distributions() -> None:
    found = tables.column_distances(TABLE, ROWS, OTHERS + torch.tensor([0, 0, 0, 0, 0, 0.5, 0, 0]))["amount"]
    assert found == pytest.approx(ks_2samp(ROWS[:, 5], OTHERS[:, 5] + 0.5).statistic)


def test_the_distance_of_categories_is_the_share_that_has_to_change() -> None:
    changed = ROWS.clone()
    changed[:60, 2:5] = torch.tensor([-1.0, -1.0, 1.0])
    moved = float((ROWS[:60, 4] < 0).double().mean()) * 60 / len(ROWS)
    assert tables.column_distances(TABLE, ROWS, changed)["paid by"] == pytest.approx(moved)


def test_missing_values_are_a_distance_of_their_own() -> None:
    all_missing = ROWS.clone()
    all_missing[:, 0], all_missing[:, 1] = 0, 1
    share = float((ROWS[:, 1] > 0).double().mean())
    assert tables.column_distances(TABLE, ROWS, all_missing)["age"] == pytest.approx(1 - share)


def test_associations_are_correlation_cramers_v_and_the_correlation_ratio() -> None:
    table = Table((Column("a"), Column("b"), Column("c", ("x", "y", "z")), Column("d", ("n", "y"))))
    mixed = torch.cat([ROWS[:, :1], -ROWS[:, 5:6], ROWS[:, 2:5], ROWS[:, 6:]], 1)
    found = tables.associations(table, mixed)
    np.testing.assert_allclose(np.diag(found), 1)
    np.testing.assert_allclose(found, found.T)
    numbers = mixed[:, :2].double().numpy()
    assert found[0, 1] == pytest.approx(np.corrcoef(numbers.T)[0, 1])  # negative
    paid, member = mixed[:, 2:5].argmax(1).numpy(), mixed[:, 5:].argmax(1).numpy()
    counts = np.zeros((3, 2), int)
    np.add.at(counts, (paid, member), 1)
    assert found[2, 3] == pytest.approx(association(counts, method="cramer"))
    of_group = np.array([numbers[paid == group, 0].mean() for group in range(3)])[paid]
    assert found[0, 2] == pytest.approx((of_group.var() / numbers[:, 0].var()) ** 0.5)


def test_a_column_of_one_value_is_associated_with_nothing() -> None:
    table = Table((Column("a"), Column("b"), Column("c", ("x", "y"))))
    rows = torch.tensor([[0.0, 1.0, 1.0, -1.0], [1.0, 1.0, 1.0, -1.0], [2.0, 1.0, 1.0, -1.0]])
    np.testing.assert_allclose(tables.associations(table, rows), np.diag([1.0, 0.0, 0.0]))


def test_independent_columns_are_far_from_dependent_ones_in_pairs_alone() -> None:
    near, far = (tables.pair_distance(TABLE, ROWS, rows) for rows in (OTHERS, INDEPENDENT))
    assert near < 0.1
    assert far > 0.4
    assert max(tables.column_distances(TABLE, ROWS, INDEPENDENT).values()) < 0.1


def test_copies_are_closer_to_training_rows_and_new_rows_are_not() -> None:
    train, new = table_rows.rows(500, 3), table_rows.rows(500, 4)
    assert tables.closer_to_training(train, OTHERS, new) == pytest.approx(0.5, abs=0.1)
    assert tables.closer_to_training(train, OTHERS, train) > 0.95
    assert tables.closer_to_training(train, OTHERS, OTHERS) < 0.05
    assert tables.closer_to_training(train, train, new) == 0.5  # equal distances


def test_a_classifier_learns_from_dependent_columns_only() -> None:
    def found(rows: torch.Tensor) -> dict[str, float]:
        pairs = zip(tables.predicted(TABLE, rows, 8), tables.predicted(TABLE, OTHERS, 8), strict=True)
        return {a.name: tables.accuracy((a.entries, a.classes), (b.entries, b.classes), 0) for a, b in pairs}

    learned, chance = found(ROWS), found(INDEPENDENT)
    assert learned.keys() == {"paid by", "member"}
    assert all(learned[name] > chance[name] + 0.15 for name in learned)


def test_of_numbers_alone_a_classifier_predicts_which_are_large() -> None:
    numbers = Table((Column("a"), Column("b"), Column("c")))
    rows = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    first, second = tables.predicted(numbers, rows, 2)
    assert (first.name, second.name) == ("a", "b")
    assert first.classes.tolist() == (rows[:, 0] > 0).tolist()
    assert torch.equal(first.entries, rows[:, 1:])
