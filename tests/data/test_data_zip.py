import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genlab.core.errors import DataError
from genlab.data import archive
from genlab.data.dataset import Source
from genlab.data.memory import Memory

Open = Callable[..., Source]
Paint = Callable[..., Path]


def pack(target: Path, root: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, prefix + str(path.relative_to(root)))
    return target


def reasons(source: Source) -> dict[str, str]:
    return {item.path: item.reason for item in source.rejected}


@pytest.fixture
def packed(album: Path, tmp_path: Path) -> Path:
    return pack(tmp_path / "album.zip", album)


def add(path: Path, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr(name, content)


def patch_entry(path: Path, name: str, offset: int, content: bytes) -> None:
    """Overwrite bytes of one entry of the central directory."""
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name.encode():
        at = data.index(b"PK\x01\x02", at + 4)
    data[at + offset : at + offset + len(content)] = content
    path.write_bytes(bytes(data))


def test_a_zip_gives_what_its_folder_gives(opened: Open, album: Path, packed: Path) -> None:
    folder, archive = opened(album), opened(packed)
    assert archive.train.fingerprint == folder.train.fingerprint
    assert archive.held_out.fingerprint == folder.held_out.fingerprint
    assert archive.train.classes == ("cat", "dog")
    assert archive.total == 20


def test_nothing_is_extracted(opened: Open, packed: Path, cache: Path) -> None:
    before = set(packed.parent.iterdir())
    opened(packed)
    assert set(packed.parent.iterdir()) - before == {cache}
    assert not list(cache.rglob("*.png"))


def test_a_wrapping_folder_and_hidden_members(opened: Open, album: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "wrapped.zip", album, "outer/inner/")
    add(path, "__MACOSX/outer/._a.png", b"x")
    add(path, "outer/.DS_Store", b"x")
    source = opened(path)
    assert source.train.classes == ("cat", "dog")
    assert source.total == 20


def test_a_moved_zip_is_still_in_the_cache(
    opened: Open, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(packed)
    monkeypatch.setattr("genlab.data.decoding.decode", None)
    assert len(opened(packed.rename(tmp_path / "moved.zip")).train) > 0


def test_encrypted_members_are_rejected(opened: Open, packed: Path) -> None:
    patch_entry(packed, "cat/01.png", 8, struct.pack("<H", 1))
    source = opened(packed, max_rejected=0.1)
    assert reasons(source) == {"cat/01.png": "encrypted"}
    assert len(source.train) + len(source.held_out) == 19


def test_a_member_that_grows_too_much_is_rejected(opened: Open, packed: Path) -> None:
    add(packed, "cat/zeros.bmp", bytes(2**21))
    found = reasons(opened(packed, max_rejected=0.1))
    assert list(found) == ["cat/zeros.bmp"]
    assert "zip bomb" in found["cat/zeros.bmp"]
    assert "200 times" in found["cat/zeros.bmp"]


def test_a_member_that_declares_too_much_is_rejected(opened: Open, packed: Path) -> None:
    patch_entry(packed, "cat/01.png", 24, struct.pack("<I", 2**29))
    assert "zip bomb: declares" in reasons(opened(packed, max_rejected=0.1))["cat/01.png"]


def test_a_member_that_declares_too_little_is_rejected(opened: Open, packed: Path) -> None:
    patch_entry(packed, "cat/01.png", 24, struct.pack("<I", 100))
    assert "CRC" in reasons(opened(packed, max_rejected=0.1))["cat/01.png"]


def test_members_that_share_their_bytes_are_bounded_together(
    opened: Open, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = max(info.file_size for info in zipfile.ZipFile(packed).infolist())
    monkeypatch.setattr("genlab.data.archive.ARCHIVE_FLOOR", 5 * size)
    monkeypatch.setattr("genlab.data.archive.RATIO_LIMIT", 0)
    monkeypatch.setattr("genlab.data.archive.MEMBER_FLOOR", 2**20)
    found = reasons(opened(packed, max_rejected=1))
    assert 0 < len(found) < 20
    assert all("the archive declares" in why for why in found.values())


def test_names_that_point_outside_are_harmless(opened: Open, packed: Path, tmp_path: Path, paint: Paint) -> None:
    picture = paint(tmp_path / "x" / "evil.png", 99).read_bytes()
    add(packed, "../../cat/evil.png", picture)
    add(packed, "/dog/root.png", picture)
    source = opened(packed)
    assert source.total == 22
    assert source.train.classes == ("cat", "dog")
    assert not (tmp_path.parent / "cat").exists()


def test_a_member_that_is_no_picture_is_rejected(opened: Open, packed: Path) -> None:
    add(packed, "cat/notes.jpg", b"text")
    assert reasons(opened(packed, max_rejected=0.1)) == {"cat/notes.jpg": "not an image"}


@pytest.mark.parametrize("damage", ["text", "cut"])
def test_a_corrupt_zip(opened: Open, packed: Path, damage: str) -> None:
    content = packed.read_bytes()
    packed.write_bytes(b"this is text" if damage == "text" else content[: len(content) // 2])
    with pytest.raises(DataError, match="not an intact zip"):
        opened(packed)


def test_a_zip_of_a_newer_version_is_named(opened: Open, packed: Path) -> None:
    patch_entry(packed, "cat/01.png", 6, struct.pack("<H", 99))
    with pytest.raises(DataError, match=r"needs a newer version of the zip format.*9\.9.*Unpack it"):
        opened(packed)


def test_a_member_compressed_by_an_unknown_method_is_rejected(opened: Open, packed: Path) -> None:
    patch_entry(packed, "cat/01.png", 10, struct.pack("<H", 93))
    found = reasons(opened(packed, max_rejected=0.1))
    assert found == {"cat/01.png": "compressed by a method that Python cannot read (93)"}


def test_of_members_with_the_same_name_the_last_is_taken(
    opened: Open, packed: Path, tmp_path: Path, paint: Paint
) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        add(packed, "cat/01.png", paint(tmp_path / "x" / "other.png", 99).read_bytes())
    source = opened(packed, max_rejected=0.1)
    assert reasons(source) == {"cat/01.png": "replaced by a later member of the same name"}
    assert len(source.train) + len(source.held_out) == 20
    assert source.total == 21


def test_members_are_read_within_the_memory_that_they_share(
    opened: Open, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(1)  # one at a time
    monkeypatch.setattr(archive, "_MEMBERS", memory)
    assert len(opened(packed).train) > 0
    with memory.held(1):
        pass  # all was given back
