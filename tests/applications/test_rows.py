from pathlib import Path

import numpy as np
import pytest

from genlab.applications.rows import read_table, rows
from genlab.core.errors import DataError, UsageError
from genlab.data.dataset import Rejected

REQUEST = {"verb": "encode", "weights": "abc"}
VALUES = np.array([[1, 2], [3, 4], [5, 1e-7]], np.float32)


@pytest.mark.parametrize("name", ["codes.csv", "codes.npz"])
def test_a_table_has_a_row_for_each_example(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with rows(path, ["z0", "z1"], REQUEST) as written:
        written.add(["a,b.png", "c.png"], ["cat", None], VALUES[:2])
        written.add(["d.png"], ["dog"], VALUES[2:])
        assert not path.exists()
        written.finish()
    table = read_table(path)
    assert list(table.names) == ["a,b.png", "c.png", "d.png"]
    assert list(table.labels) == ["cat", None, "dog"]
    assert list(table.columns) == ["z0", "z1"]
    assert np.allclose(table.values, VALUES, rtol=1e-6, atol=0)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_killed_command_goes_on_after_its_last_complete_row(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    with rows(path, ["z0", "z1"], REQUEST) as written:
        written.add(["a", "b"], [None, None], VALUES[:2], [{}, {"changed": "16 bits"}])
    part = tmp_path / "codes.csv.part"
    with (part / "values").open("ab") as file:
        file.write(VALUES[2].tobytes())  # the kill came between the numbers and the name
    with (part / "names").open("ab") as file:
        file.write(b'["c", nu')
    with rows(path, ["z0", "z1"], REQUEST) as again:
        assert again.names == ["a", "b"]
        assert again.noted("changed") == [Rejected("b", "16 bits")]
        again.add(["c"], [None], VALUES[2:])
        again.finish()
    assert np.allclose(read_table(path).values, VALUES)


def test_rows_of_another_command_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    with rows(path, ["z0", "z1"], REQUEST) as written:
        written.add(["a"], [None], VALUES[:1])
    with pytest.raises(UsageError, match="another command"), rows(path, ["z0", "z1"], {"weights": "other"}):
        pass


def test_no_table_is_an_error_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match='no column "file" in front'):
        read_table(path)
