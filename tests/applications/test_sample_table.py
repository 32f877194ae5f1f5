"""Synthetic rows: a file like that of the training rows, which a killed command goes on with."""

import csv
from pathlib import Path

import numpy as np
import pytest

import genlab
from data_frame import Frame
from genlab.core.errors import UsageError
from genlab.core.table import Table


def written(path: Path) -> Path:
    random = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["amount", "currency", "paid by", "fraud"])
        for at in range(200):
            amount = "" if at % 9 == 0 else f"{random.uniform(5, 20):.2f}"
            lines.writerow([amount, "EUR", random.choice(["card", "cash"]), int(at % 10 == 0)])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "t.csv")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> genlab.Run:
    root = tmp_path_factory.mktemp("runs")
    options = {"width": 4, "latent": 3, "steps": 2, "batch_size": 8, "quiet": True}
    return genlab.train("table-vae", data=data, label="fraud", root=root, **options)


@pytest.fixture(scope="module")
def conditional(data: Path, tmp_path_factory: pytest.TempPathFactory) -> genlab.Run:
    root = tmp_path_factory.mktemp("runs")
    options = {"width": 4, "latent": 3, "steps": 2, "batch_size": 8, "quiet": True, "architecture": "mlp"}
    return genlab.train(
        "conditional-vae", data=data, label="fraud", root=root, reconstruction="gaussian", **options
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_have_the_header_the_types_and_the_decimals_of_the_data(run: genlab.Run, tmp_path: Path) -> None:
    done = genlab.sample(run, number=300, out=tmp_path / "rows.csv")
    rows = read(done.path)
    assert len(rows) == 300
    assert list(rows[0]) == ["amount", "currency", "paid by"]
    amounts = [row["amount"] for row in rows if row["amount"]]
    assert all(5 <= float(amount) <= 20 and len(amount.partition(".")[2]) == 2 for amount in amounts)
    assert {row["currency"] for row in rows} == {"EUR"}
    assert {row["paid by"] for row in rows} <= {"card", "cash"}
    assert 'column "fraud", are not generated' in str(done)


def test_the_rows_can_be_trained_on_and_read_again(run: genlab.Run, tmp_path: Path) -> None:
    done = genlab.sample(run, number=50, out=tmp_path / "rows.csv")
    assert genlab.encode(run, done.path, out=tmp_path / "codes.csv").rows == 50


def test_a_row_depends_on_the_seed_and_its_position(run: genlab.Run, tmp_path: Path) -> None:
    few = genlab.sample(run, number=5, out=tmp_path / "few.csv")
    many = genlab.sample(run, number=9, out=tmp_path / "many.csv")
    other = genlab.sample(run, number=5, seed=1, out=tmp_path / "other.csv")
    assert read(few.path) == read(many.path)[:5]
    assert read(few.path) != read(other.path)


def test_a_conditional_model_writes_the_labels(conditional: genlab.Run, tmp_path: Path) -> None:
    rows = read(genlab.sample(conditional, number=4, out=tmp_path / "a.csv").path)
    assert [row["fraud"] for row in rows] == ["0", "1", "0", "1"]
    rows = read(genlab.sample(conditional, number=4, label="1", out=tmp_path / "b.csv").path)
    assert [row["fraud"] for row in rows] == ["1"] * 4


def test_a_killed_command_goes_on(run: genlab.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genlab.applications import sample_table

    whole = genlab.sample(run, number=30, out=tmp_path / "whole.csv")
    monkeypatch.setattr(sample_table, "AT_ONCE", 10)
    write = sample_table.write_csv
    monkeypatch.setattr(sample_table, "write_csv", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        genlab.sample(run, number=30, out=tmp_path / "rows.csv")
    with (tmp_path / "rows.csv.part" / "names").open("r+b") as file:  # as if it had been killed earlier
        file.truncate(file.seek(0, 2) - 40)
    monkeypatch.setattr(sample_table, "write_csv", write)
    with pytest.raises(UsageError, match="another command"):
        genlab.sample(run, number=31, out=tmp_path / "rows.csv")
    again = genlab.sample(run, number=30, out=tmp_path / "rows.csv")
    assert 0 < again.resumed < 30
    assert read(again.path) == read(whole.path)


def test_reconstructions_become_rows(run: genlab.Run, data: Path, tmp_path: Path) -> None:
    done = genlab.reconstruct(run, data, out=tmp_path / "again.csv")
    rows = read(done.path)
    assert [row["row"] for row in rows] == [f"row {at + 1}" for at in range(200)]
    assert list(rows[0]) == ["row", "amount", "currency", "paid by", "error"]
    assert np.allclose([float(row["error"]) for row in rows], done.errors, rtol=1e-5)
    assert "mean squared error of entries" in str(done)


def test_a_table_that_is_read_is_not_written_over(run: genlab.Run, data: Path) -> None:
    before = data.read_bytes()
    for verb in (genlab.encode, genlab.reconstruct):
        with pytest.raises(UsageError, match="is one of the files that are read"):
            verb(run, data, out=data)
    assert data.read_bytes() == before


def test_a_run_names_its_columns_and_no_more(run: genlab.Run) -> None:
    assert "kind table, columns amount, paid by, label fraud" in str(genlab.info(run))
    assert "columns: amount, paid by; label: fraud" in (run.folder / "report.html").read_text()


def test_a_picture_shows_histograms(run: genlab.Run, tmp_path: Path) -> None:
    done = genlab.sample(run, number=20, out=tmp_path / "rows.png")
    assert isinstance(done.spec.target, Table)
    assert done.path.read_bytes()[:4] == b"\x89PNG"
    assert done.picture.shape[2] == 3


def test_pictures_are_no_rows(tmp_path: Path, run: genlab.Run) -> None:
    pictures = genlab.train("table-vae", data="digits", size=16, width=4, steps=1, root=tmp_path, quiet=True)
    with pytest.raises(UsageError, match="rows of a table, but this model makes pictures"):
        genlab.sample(pictures, out=tmp_path / "rows.csv")
    with pytest.raises(UsageError, match=r"for rows of a table a \.csv"):
        genlab.sample(run, out=tmp_path / "folder")


def test_a_data_frame_is_data_and_input(tmp_path: Path) -> None:
    frame = Frame({"a": [float(at % 7) / 3 for at in range(60)], "b": ["x", "y"] * 30, "long": list("uvw" * 20)})
    options = {"root": tmp_path, "width": 4, "latent": 3, "batch_size": 8, "quiet": True}
    run = genlab.train("table-vae", data=frame, label="long", steps=1, **options)
    assert genlab.encode(run, frame).rows == 60
    assert genlab.resume(run, steps=2, stretch_schedule=True, quiet=True).step == 2
    with pytest.raises(UsageError, match="no such column"):
        genlab.train("table-vae", data=frame, label="short", steps=1, **options)


def test_a_run_on_a_table_goes_on(data: Path, tmp_path: Path) -> None:
    run = genlab.train(
        "table-vae", data=data, label="fraud", root=tmp_path, width=4, steps=1, batch_size=8, quiet=True
    )
    genlab.resume(run, steps=2, stretch_schedule=True, quiet=True)
    data.write_text(data.read_text() + "9.99,EUR,card,0\n")
    with pytest.raises(genlab.GenlabError, match=r"no longer what.*fingerprints was"):
        genlab.resume(run, steps=3, quiet=True)
