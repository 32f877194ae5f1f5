import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from genlab.core import files
from genlab.core.errors import StorageError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    files.write(path, b"old")
    files.replace(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert list(tmp_path.iterdir()) == [path]

    def refused(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StorageError, match="No space left on device"):
        files.replace(path, b"newest")
    assert path.read_bytes() == b"new and longer"


def test_a_draft_never_follows_a_link_and_is_removed_if_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0" * 2 * size)
    draft = tmp_path / "a.txt.00000000.new"
    draft.symlink_to(mine)
    with pytest.raises(StorageError, match="File exists"):
        files.replace(tmp_path / "a.txt", b"evil")
    assert mine.read_bytes() == b"precious"


def test_only_regular_files_of_a_bounded_length_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read(path, 5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes, more than 4"):
        files.read(path, 4)
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "device", "."):
        other = tmp_path / name
        if name == "device":
            other.symlink_to("/dev/zero")
        with pytest.raises(OSError, match="not a file with bytes of its own"):
            files.read(other, 100)


def test_lines_are_appended_one_at_a_time(tmp_path: Path) -> None:
    for line in ("one", "zwölf"):
        files.append(tmp_path / "lines", line)
    assert (tmp_path / "lines").read_bytes() == "one\nzwölf\n".encode()


@pytest.mark.parametrize(
    "operation",
    [
        partial(files.write, data=b"x"),
        partial(files.replace, data=b"x"),
        partial(files.append, line="x"),
        files.sync_folder,
    ],
)
def test_a_refused_write_names_the_path_and_the_next_step(
    tmp_path: Path, operation: Callable[[Path], None]
) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*gone.*No such file.*Choose another place") as caught:
        operation(tmp_path / "gone" / "file")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(StorageError, match="No space left on device"):
        files.append(Path("/dev/full"), "x")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(KeyError), files.storage(tmp_path):
        raise KeyError
