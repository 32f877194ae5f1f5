"""Rows of another table as inputs of a model: columns are found by name, and what no training row has is said."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.core.column import Column
from genlab.core.errors import DataError, UsageError
from genlab.core.modality import Images
from genlab.core.table import Table
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, originals

MODEL = Table(
    (Column("amount", mean=10, deviation=2, low=0, high=20, decimals=1), Column("paid by", ("card", "cash"))),
    header=("id", "amount", "currency", "paid by", "fraud"),
    constants=(("currency", "EUR"),),
    ignored=("id",),
    label="fraud",
)


def read(path: Path, lines: Sequence[str], done: Sequence[str] = ()) -> list[Original | Rejected]:
    path.write_text("\n".join(lines) + "\n")
    with originals(path, MODEL) as given:
        assert given.count == len(lines) - 1
        return list(given.read(set(done)))


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.csv", ["fraud,paid by,amount", "1,cash,12", "0,card,8"])
    assert all(isinstance(row, Original) for row in rows)
    assert [(row.name, row.label) for row in rows if isinstance(row, Original)] == [("row 1", "1"), ("row 2", "0")]
    pixels = torch.stack([row.pixels for row in rows if isinstance(row, Original)])
    assert torch.equal(pixels, torch.tensor([[1.0, -1, 1], [-1, 1, -1]]))


def test_rows_that_are_done_are_left_out_and_keep_their_names(tmp_path: Path) -> None:
    (row,) = read(tmp_path / "t.csv", ["paid by,amount", "cash,12", "card,8"], done=["row 1"])
    assert isinstance(row, Original)
    assert (row.name, row.label) == ("row 2", None)


def test_rows_that_cannot_be_read_are_rejected(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.csv", ["paid by,amount", "cash,much", "card", "card,8"])
    assert [row.path for row in rows if isinstance(row, Rejected)] == ["row 2", "row 1"]
    assert len(rows) == 3


def test_what_no_training_row_has_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "genlab"):
        rows = read(tmp_path / "t.csv", ["currency,paid by,amount,shop", "USD,cheque,12,a", "EUR,card,,b"])
    assert len(rows) == 2
    assert '"paid by": 1 row with a category that no training row has, such as "cheque"' in caplog.text
    assert '"amount": 1 row without a value, which all training rows have: taken as the mean' in caplog.text
    assert '"currency": 1 row with another value than all training rows, such as "USD"' in caplog.text
    assert "the columns shop are not used" in caplog.text


def test_a_constant_number_may_be_written_in_another_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Table((Column("amount"),), constants=(("rate", "5.00"),))
    (tmp_path / "t.csv").write_text("amount,rate\n1,5\n2,5.0\n")
    with originals(tmp_path / "t.csv", model) as given:
        assert len(list(given)) == 2
    assert "rate" not in caplog.text


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'has no column amount.*Did you mean "amounts"'):
        read(tmp_path / "t.csv", ["paid by,amounts", "cash,1"])


def test_pictures_are_no_rows_and_rows_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with (
        pytest.raises(UsageError, match="is a table, but this model was trained on pictures"),
        originals(tmp_path / "t.csv", Images(1, 8, 8)),
    ):
        pass
    with pytest.raises(UsageError, match=r"is no table.*Give a \.csv"), originals("digits", MODEL):
        pass


def test_an_array_of_entries_is_taken_as_it_is() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    with originals(x, MODEL) as given:
        found = [row.pixels.numpy() for row in given if isinstance(row, Original)]
    assert np.array_equal(np.stack(found), x)


def test_the_stamp_changes_with_the_content(tmp_path: Path) -> None:
    marks = []
    for cell in ("cash,1", "cash,2", "cash,1"):
        (tmp_path / "t.csv").write_text(f"paid by,amount\n{cell}\n")
        with originals(tmp_path / "t.csv", MODEL) as given:
            marks.append(given.stamp)
    assert marks[0] == marks[2] != marks[1]


def test_labels_are_in_the_column_that_is_named_even_if_the_model_was_trained_without(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("paid by,amount,fraud,kind\ncash,12,1.0,bad\n")
    plain = Table(MODEL.columns)
    for table, label, found in (
        (plain, "kind", "bad"),
        (plain, "fraud", "1"),
        (MODEL, None, "1"),
        (plain, None, None),
    ):
        with originals(path, table, label=label) as given:
            (row,) = given.read(())
        assert isinstance(row, Original)
        assert row.label == found
    with (
        pytest.raises(UsageError, match='Did you mean "kind"'),
        originals(path, plain, label="kin"),
    ):
        pass
    with pytest.raises(UsageError, match="was trained on this column"), originals(path, plain, label="amount"):
        pass
    with (
        pytest.raises(UsageError, match="--label kind is for rows"),
        originals(path, Images(1, 8, 8), label="kind"),
    ):
        pass


def test_the_labels_of_an_npz_are_found_without_being_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.arange(6.0).reshape(3, 2), y=[0, 1, 0])
    with originals(tmp_path / "t.npz", Table((Column("x0"), Column("x1")))) as given:
        assert [row.label for row in given.read(()) if isinstance(row, Original)] == ["0", "1", "0"]
