import json
import struct
import zlib
from pathlib import Path

import pytest

from genlab.applications import glz
from genlab.applications.glz import BLOCK, Block, Header, end, packed, read_blocks, read_header, writer
from genlab.core.errors import DataError, UsageError
from genlab.core.text import printable

HEADER = Header(b"w" * 16, b"s" * 8, 60)
FIRST = Block(["a/b.jpg", "c.png"], [(20, 30), None], b"12345678")
SECOND = Block(["2", "3"], [None, None], b"abcd")


def written(path: Path) -> Path:
    with writer(path, HEADER, {"verb": "compress"}) as into:
        into.add(FIRST)
        into.add(SECOND)
        into.finish()
    return path


def blocks(path: Path) -> list[Block]:
    with path.open("rb") as file:
        assert read_header(file, path) == HEADER
        return list(read_blocks(file, path))


def hostile(path: Path, pictures: int, facts: object) -> Path:
    data = HEADER.packed() + packed(pictures, facts, b"") + end(pictures)  # type: ignore[arg-type]
    path.write_bytes(data)
    return path


def test_blocks_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = written(tmp_path / "a.glz")
    assert blocks(path) == [FIRST, SECOND]
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_count_take_no_room() -> None:
    few = Block([str(at) for at in range(100)], [None] * 100, b"")
    assert len(few.packed()) < 50


@pytest.mark.parametrize("sizes", [[(1, 2)], [(1, 2), (3, 4)], [(3, 4), (3, 4)], [None, (1, 2)]])
def test_sizes_are_kept(tmp_path: Path, sizes: list[tuple[int, int] | None]) -> None:
    path = tmp_path / "a.glz"
    with writer(path, HEADER, {}) as into:
        into.add(Block(["x", "y"][: len(sizes)], sizes, b""))
        into.finish()
    assert blocks(path)[0].sizes == sizes


def test_every_truncation_is_found(tmp_path: Path) -> None:
    data = written(tmp_path / "a.glz").read_bytes()
    for length in range(len(data)):
        (tmp_path / "b.glz").write_bytes(data[:length])
        with pytest.raises(DataError):
            blocks(tmp_path / "b.glz")


def test_every_altered_byte_is_found(tmp_path: Path) -> None:
    data = written(tmp_path / "a.glz").read_bytes()
    for at in range(len(data)):
        (tmp_path / "b.glz").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(DataError, match="damaged" if at > 4 else "made by genlab compress|version"):
            blocks(tmp_path / "b.glz")


def test_names_are_those_that_a_folder_can_have(tmp_path: Path) -> None:
    names = [printable("a\nb.png"), printable("\udcff.png"), "ä ö.png", "a\\b.png", "-1", "a/.b"]
    with writer(tmp_path / "a.glz", HEADER, {}) as into:
        into.add(Block(names, [None] * len(names), b""))
        into.finish()
    assert blocks(tmp_path / "a.glz")[0].names == names


def test_a_small_file_cannot_claim_more_pictures_than_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glz, "MOST_IN_FILE", 3)
    with pytest.raises(DataError, match="more than 3 pictures"):
        blocks(written(tmp_path / "a.glz"))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "", ".", "a\0b", "a\nb", "x" * 5000, 3.5, None, ["a"]]
)
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(DataError, match="names are impossible"):
        blocks(hostile(tmp_path / "a.glz", 1, {"names": [name]}))


@pytest.mark.parametrize("sizes", [[[0, 1]], [[2**20, 2**20]], [[1.5, 2]], [[True, 2]], "ab", [[1]], 7, []])
def test_impossible_sizes_are_refused(tmp_path: Path, sizes: object) -> None:
    with pytest.raises(DataError, match="sizes are impossible"):
        blocks(hostile(tmp_path / "a.glz", 1, {"names": ["a"], "sizes": sizes}))


def test_facts_that_inflate_without_end_are_refused(tmp_path: Path) -> None:
    text = zlib.compress(b'{"names": "' + b"a" * 10**8 + b'"}', 9)
    lengths = struct.pack("<III", 1, len(text), 0)
    bomb = BLOCK.pack(1, len(text), 0, zlib.crc32(lengths + text)) + text
    (tmp_path / "a.glz").write_bytes(HEADER.packed() + bomb)
    with pytest.raises(DataError, match="too long"):
        blocks(tmp_path / "a.glz")


def test_lengths_that_no_file_has_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.glz").write_bytes(HEADER.packed() + BLOCK.pack(1, 2**32 - 1, 2**32 - 1, 0))
    with pytest.raises(DataError, match="lengths are impossible"):
        blocks(tmp_path / "a.glz")


def test_other_files_and_newer_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.glz"
    path.write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="was not made by genlab compress"):
        blocks(path)
    path.write_bytes(HEADER.packed()[:4] + b"\x02" + HEADER.packed()[5:])
    with pytest.raises(DataError, match="version 2"):
        blocks(path)


def test_a_killed_command_goes_on_after_its_last_whole_block(tmp_path: Path) -> None:
    path, part = tmp_path / "a.glz", tmp_path / "a.glz.part"
    with writer(path, HEADER, {"data": "x"}) as into:
        into.add(FIRST)
    with (part / "data").open("ab") as file:
        file.write(SECOND.packed()[:-3])
    with writer(path, HEADER, {"data": "x"}) as into:
        assert into.names == FIRST.names
        into.add(SECOND)
        into.finish()
    assert blocks(path) == [FIRST, SECOND]


def test_a_command_that_was_killed_at_its_very_end_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.glz"
    with writer(path, HEADER, {}) as into:
        into.add(FIRST)
    with (tmp_path / "a.glz.part" / "data").open("ab") as file:
        file.write(end(2))
    with writer(path, HEADER, {}) as into:
        into.finish()
    assert blocks(path) == [FIRST]


def test_another_command_does_not_go_on_with_what_is_there(tmp_path: Path) -> None:
    with writer(tmp_path / "a.glz", HEADER, {"data": "x"}):
        pass
    with pytest.raises(UsageError, match="another command"), writer(tmp_path / "a.glz", HEADER, {"data": "y"}):
        pass
    assert json.loads((tmp_path / "a.glz.part" / "request").read_text()) == {"data": "x"}
