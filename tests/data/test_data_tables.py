"""Tables as data: what a column holds, what is left out and why, and that nothing is lost in silence."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_frame import Frame
from genlab.core.errors import DataError, UsageError
from genlab.core.table import Table
from genlab.data.dataset import Source
from genlab.data.describe import describe, drawn
from genlab.data.objects import as_source, content_hash

HEADER = "id,amount,paid by,age,visits,currency,fraud"


def rows(count: int = 300) -> list[list[str]]:
    draw = random.Random(0)
    return [
        [
            f"c{at:04d}x",
            f"{draw.uniform(1, 90):.2f}",
            draw.choice(["card", "cash", "transfer"]),
            "" if at % 10 == 0 else str(draw.randrange(18, 90)),
            str(draw.randrange(4)),
            "EUR",
            str(int(at % 20 == 0)),
        ]
        for at in range(count)
    ]


def written(path: Path, lines: Sequence[Sequence[str]], header: str = HEADER, delimiter: str = ",") -> Path:
    text = [header.replace(",", delimiter), *(delimiter.join(line) for line in lines)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def table_of(source: Source) -> Table:
    target = source.train.spec.target
    assert isinstance(target, Table)
    return target


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "t.csv", rows())


@pytest.fixture(scope="module")
def source(path: Path) -> Source:
    return as_source(path, label="fraud")


def test_columns_are_numbers_or_categories(source: Source) -> None:
    found = {column.name: (len(column.choices), column.decimals) for column in table_of(source).columns}
    assert found == {"amount": (0, 2), "paid by": (3, None), "age": (0, 0), "visits": (4, None)}
    assert [column.missing for column in table_of(source).columns] == [False, False, True, False]


def test_what_gets_no_entries_is_said(source: Source) -> None:
    table = table_of(source)
    assert table.constants == (("currency", "EUR"),)
    assert table.ignored == ("id",)
    assert table.label == "fraud"
    assert '"id" (a key: its texts are all different' in source.notes["left out"]
    assert '"currency" (constant: EUR)' in source.notes["left out"]
    assert '"age" in 30 of 300 rows' in source.notes["missing values"]
    assert 'column "fraud", not trained on: 0, 1' in source.notes["labels"]


def test_every_row_comes_back_from_its_entries(path: Path, source: Source) -> None:
    """Each row of the file is in one of the splits, with its values and its label."""
    table = table_of(source)
    found = []
    for split in (source.train, source.held_out):
        assert split.labels is not None
        batch = split.batch(np.arange(len(split)))
        found += [",".join(cells) for cells in table.texts(batch.x, [str(label) for label in split.labels])]
    lines = path.read_text().splitlines()[1:]
    assert sorted(found) == sorted(line.partition(",")[2] for line in lines)


def test_numbers_are_scaled_by_the_training_rows(source: Source) -> None:
    x = source.train.batch(np.arange(len(source.train))).x.numpy()
    (at,) = [at for column, at in table_of(source).parts() if column.name == "amount"]
    assert x[:, at].mean() == pytest.approx(0, abs=1e-5)
    assert x[:, at].std() == pytest.approx(1, abs=1e-5)


def test_appended_rows_leave_the_others_in_their_split(tmp_path: Path, source: Source) -> None:
    longer = as_source(written(tmp_path / "t.csv", rows(350)), label="fraud")
    assert len(longer.held_out) >= len(source.held_out)
    assert source.held_out.labels is not None
    assert longer.held_out.labels is not None
    assert longer.held_out.labels[: len(source.held_out)].tolist() == source.held_out.labels.tolist()


def test_a_table_is_the_same_from_the_cache(path: Path, source: Source) -> None:
    again = as_source(path, label="fraud")
    assert again.train.fingerprint == source.train.fingerprint
    assert again.train.spec == source.train.spec
    assert again.notes == source.notes
    assert as_source(path, label="fraud", ignore=("visits",)).train.spec != source.train.spec


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, source: Source, delimiter: str) -> None:
    other = as_source(written(tmp_path / "t.csv", rows(), delimiter=delimiter), label="fraud")
    assert other.train.fingerprint == source.train.fingerprint


def test_decimal_commas_are_read_where_commas_separate_nothing(tmp_path: Path, source: Source) -> None:
    lines = [[cell.replace(".", ",") for cell in line] for line in rows()]
    other = as_source(written(tmp_path / "t.csv", lines, delimiter=";"), label="fraud")
    assert other.train.fingerprint == source.train.fingerprint


def test_parquet_and_data_frames_are_read_as_csv_is(tmp_path: Path, source: Source) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = HEADER.split(",")
    columns: dict[str, list[Any]] = dict(zip(names, map(list, zip(*rows(), strict=True)), strict=True))
    columns["amount"] = list(map(float, columns["amount"]))
    columns["age"] = [int(age) if age else None for age in columns["age"]]
    columns["visits"] = list(map(int, columns["visits"]))
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    assert as_source(tmp_path / "t.parquet", label="fraud").train.fingerprint == source.train.fingerprint

    frame = Frame(columns)
    given = as_source(frame, label="fraud")
    assert given.train.fingerprint == source.train.fingerprint
    assert content_hash(frame) == content_hash(Frame(columns))


def test_arrays_called_x_and_y_are_a_table_with_labels(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    np.savez(tmp_path / "t.npz", X=x, y=np.arange(100) % 2)
    source = as_source(tmp_path / "t.npz")
    assert [column.name for column in table_of(source).columns] == ["x0", "x1", "x2"]
    assert source.train.spec.class_names == ("0", "1")
    x0 = (x[:, 0] - table_of(source).columns[0].mean) / table_of(source).columns[0].deviation
    held = source.held_out.batch(np.arange(len(source.held_out))).x[:, 0].numpy()
    assert set(held.round(4)) <= set(x0.astype(np.float32).round(4))


def test_a_name_that_no_system_has_is_an_unknown_source() -> None:
    with pytest.raises(UsageError, match="no source"):
        as_source(f"{'x' * 5000}.csv")


def test_tiny_numbers_are_not_rounded_away(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 1)) * 1e-14
    np.savez(tmp_path / "t.npz", X=x)
    (column,) = table_of(as_source(tmp_path / "t.npz")).columns
    assert column.decimals is None
    assert column.deviation == pytest.approx(1e-14, rel=0.2)


def test_one_number_written_in_two_ways_is_constant(tmp_path: Path) -> None:
    lines = changed(
        lambda rows: [line.__setitem__(4, "5" if at % 2 else "5.0") for at, line in enumerate(rows)] and None
    )
    source = as_source(written(tmp_path / "t.csv", lines), label="fraud")
    assert ("visits", "5") in table_of(source).constants


def test_points_given_in_python_stay_points() -> None:
    source = as_source(np.random.default_rng(0).uniform(-1, 1, (20, 2)))
    assert source.train.spec.target.kind == "points"


def changed(change: Callable[[list[list[str]]], None], count: int = 300) -> list[list[str]]:
    lines = rows(count)
    change(lines)
    return lines


def put(column: int, values: dict[int, str]) -> Callable[[list[list[str]]], None]:
    def change(lines: list[list[str]]) -> None:
        for row, value in values.items():
            lines[row][column] = value

    return change


def test_rows_that_are_none_are_rejected_with_their_number(tmp_path: Path) -> None:
    lines = changed(put(1, {7: "many", 8: "inf"}))
    lines[20].append("more")
    source = as_source(written(tmp_path / "t.csv", lines), label="fraud")
    assert {item.path: item.reason for item in source.rejected} == {
        "row 8": '"amount" is "many", not a number',
        "row 9": '"amount" is "inf", infinite or too large',
        "row 21": "8 cells instead of 7",
    }
    assert len(source.train) + len(source.held_out) + len(source.rejected) == source.total == 300


BAD: dict[str, tuple[Callable[[list[list[str]]], None], str]] = {
    "text among numbers": (
        put(1, {row: f"v{row}" for row in range(150)}),
        'column "amount" holds text, such as "v0"',
    ),
    "too many damaged rows": (
        lambda lines: [line.append("") for line in lines[:30]] and None,
        r"30 of 300 rows \(10",
    ),
    "rows without a label": (put(6, dict.fromkeys(range(20), "")), "20 of 300 rows.*no label"),
    "labels that are all different": (
        put(6, {row: f"l{row}" for row in range(300)}),
        "more than 128 different values",
    ),
    "one row": (lambda lines: lines.__delitem__(slice(1, None)), "1 row below its header: give at least 2"),
    "no row": (lambda lines: lines.clear(), "0 rows below its header"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=list(BAD))
def test_bad_tables_are_refused(tmp_path: Path, change: Callable[[list[list[str]]], None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_source(written(tmp_path / "t.csv", changed(change)), label="fraud")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b,a\n1,2,3\n", "several columns called a"),
        (b"1.5,2,3\n1,2,3\n", "no header: its first line is 1.5, 2, 3"),
        (b"a,b\n1,\xff\n", "cannot be read.*UTF-8"),
        (b"a,b\nx,1\nx,1\nx,1\n", "no column to train on. Constant: a, b"),
        (b"", "0 rows"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        as_source(tmp_path / "t.csv")


def test_infinite_numbers_are_refused_if_they_are_many(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 20))
    np.savez(tmp_path / "t.npz", X=np.where(np.eye(20) > 0, np.inf, x))
    with pytest.raises(DataError, match=r'column "x0" has 1 infinite numbers in 20 rows.*--ignore x0'):
        as_source(tmp_path / "t.npz")


def test_unknown_columns_are_refused_with_a_suggestion(path: Path) -> None:
    with pytest.raises(UsageError, match=r'--label frauds.*no such column\. Did you mean "fraud"'):
        as_source(path, label="frauds")
    with pytest.raises(UsageError, match="--ignore ages"):
        as_source(path, ignore=("ages",))
    with pytest.raises(UsageError, match="give one of them"):
        as_source(path, label="fraud", ignore=("fraud",))


def test_pictures_have_no_columns_and_tables_no_size(path: Path) -> None:
    with pytest.raises(UsageError, match='"digits" is no table'):
        as_source("digits", label="digit")
    with pytest.raises(UsageError, match="takes no size, channels or range"):
        as_source(path, size=32)


def test_labels_of_one_class_are_kept_and_said(tmp_path: Path) -> None:
    lines = changed(put(6, dict.fromkeys(range(300), "0")))
    source = as_source(written(tmp_path / "t.csv", lines), label="fraud")
    assert "there is only one" in source.notes["labels"]
    assert source.train.spec.class_names == ("0",)


def test_codes_with_leading_zeros_are_no_numbers(tmp_path: Path) -> None:
    lines = changed(lambda rows: [line.__setitem__(1, f"0{at % 7}") for at, line in enumerate(rows)] and None)
    source = as_source(written(tmp_path / "t.csv", lines), label="fraud")
    assert table_of(source).columns[0].choices == tuple(f"0{at}" for at in range(7))


def test_numbers_that_count_the_rows_are_a_key(tmp_path: Path) -> None:
    lines = changed(lambda rows: [line.__setitem__(0, str(at)) for at, line in enumerate(rows)] and None)
    source = as_source(written(tmp_path / "t.csv", lines), label="fraud")
    assert '"id" (a key: it counts the rows' in source.notes["left out"]


def test_the_description_says_how_each_column_is_read(source: Source) -> None:
    columns = {each["name"]: each for each in describe(source)["columns"]}
    assert columns["amount"]["kind"] == "numbers, 2 decimals"
    assert columns["paid by"]["holds"] == "card, cash, transfer"
    assert int(columns["age"]["missing"].split()[0]) == sum(line[3] == "" for line in rows()) - int(
        (source.held_out.batch(np.arange(len(source.held_out))).x[:, 5] > 0).sum()
    )
    assert drawn(source.train).shape[2] == 3


def test_statistics_do_not_depend_on_how_many_rows_are_read_at_once(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genlab.data import tables_files

    monkeypatch.setattr(tables_files, "AT_ONCE", 7)
    other = as_source(written(tmp_path / "t.csv", rows()), label="fraud")
    assert np.allclose(
        other.train.values[np.arange(len(other.train))],
        source.train.values[np.arange(len(source.train))],
        atol=1e-6,
    )
    assert [c.choices for c in table_of(other).columns] == [c.choices for c in table_of(source).columns]


def test_numbers_near_the_ends_of_the_range_of_floats_break_nothing(tmp_path: Path) -> None:
    lines = [f"{1e-300 * (1 + at % 7)},{1e300 if at == 3 else at * 0.5}" for at in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["tiny,large", *lines]))
    source = as_source(tmp_path / "t.csv")
    assert np.isfinite(source.train.values[np.arange(len(source.train))]).all()
    assert [(item.path, item.reason) for item in source.rejected] == [
        ("row 4", '"large" is "1e+300", infinite or too large')
    ]
