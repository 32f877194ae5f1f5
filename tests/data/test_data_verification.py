"""A damaged cache is noticed and rebuilt: after a power cut, a cut file, a wrong one, in any process."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError
from genlab.data import pictures, verification
from genlab.data.cache import keep, kept, prepared
from genlab.data.dataset import Source

Open = Callable[..., Source]


def content(source: Source) -> list[object]:
    sides = (source.train, source.held_out)
    values = [side.values[np.arange(len(side))].tobytes() for side in sides]
    labels = [side.labels.tolist() for side in sides if side.labels is not None]
    return [values, labels, *(side.spec.class_names for side in sides), source.total, dict(source.notes)]


@pytest.fixture(params=["folder", "npz"])
def data(request: pytest.FixtureRequest, album: Path, tmp_path: Path) -> Path:
    if request.param == "folder":
        return album
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=pixels, labels=np.array(["cat", "dog"])[np.arange(30) % 2])
    return tmp_path / "set.npz"


def entry_of(cache: Path) -> Path:
    (entry,) = cache.iterdir()
    return entry


def blacken(path: Path) -> None:
    """Do what a power cut does: the length is right, but two thirds are zeros."""
    whole = path.stat().st_size
    os.truncate(path, whole // 3)
    os.truncate(path, whole)


def blacken_unseen(path: Path) -> None:
    """Blacken a file before the stamp is written again, as if this boot had verified it."""
    blacken(path)
    entry = path.parent
    verification._stamp(entry, verification._states(entry))


def another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_boot", lambda: "another")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "huge": lambda path: os.truncate(path, 1 << 36),  # sparse
    "zeros": blacken,
    "gone": lambda path: path.unlink(),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nothing")),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "nested": lambda path: path.write_text("[" * 100_000),
    "a list": lambda path: path.write_text("[1]"),
    "wrong": lambda path: path.write_text('{"meta.json": 3, "classes": null}'),
    "flipped": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
}


def build(entry: Path) -> None:
    (entry / "images.npy").write_bytes(bytes(range(1, 256)) * 4)
    (entry / "meta.json").write_text('{"classes": ["cat", "dog"]}')


def read(entry: Path) -> tuple[bytes, list[str]]:
    return (entry / "images.npy").read_bytes(), json.loads((entry / "meta.json").read_text())["classes"]


@pytest.mark.parametrize("name", ["images.npy", "meta.json", verification.MANIFEST])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_again_and_one_line_says_so(
    cache: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = prepared(cache, "key", build, read)
    DAMAGE[damage](entry_of(cache) / name)
    assert prepared(cache, "key", build, read) == before
    (line,) = (record.getMessage() for record in caplog.records)
    assert name in line or damage == "wrong"
    assert "is damaged" in line
    assert "is rebuilt" in line
    prepared(cache, "key", pytest.fail, read)  # whole again
    assert len(caplog.records) == 1


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_stamp_makes_nothing_again(cache: Path, damage: str) -> None:
    before = prepared(cache, "key", build, read)
    DAMAGE[damage](entry_of(cache) / verification.STAMP)
    assert prepared(cache, "key", pytest.fail, read) == before


def test_damage_to_each_file_of_a_source_is_made_good(opened: Open, data: Path, cache: Path) -> None:
    before = content(opened(data))
    for name in sorted(path.name for path in entry_of(cache).iterdir() if path.name != verification.STAMP):
        blacken(entry_of(cache) / name)
        assert content(opened(data)) == before, name


@pytest.mark.parametrize("damage", ["gone", "a file", "a link to nothing", "empty"])
def test_an_entry_that_is_no_folder_or_an_old_one_is_made_again(
    opened: Open, data: Path, cache: Path, damage: str
) -> None:
    before = content(opened(data))
    entry = entry_of(cache)
    shutil.rmtree(entry)
    if damage == "a file":
        entry.write_text("in the way")
    elif damage == "a link to nothing":
        entry.symlink_to("nothing")
    elif damage == "empty":
        entry.mkdir()
    assert content(opened(data)) == before
    assert entry_of(cache).is_dir()


def test_what_a_power_cut_left_is_noticed_at_the_next_boot(
    opened: Open, data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(opened(data))
    largest = max(entry_of(cache).iterdir(), key=lambda path: path.stat().st_size)
    blacken_unseen(largest)
    another_boot(monkeypatch)
    assert content(opened(data)) == before


def test_inside_verifying_stamps_do_not_count(opened: Open, data: Path, cache: Path) -> None:
    before = content(opened(data))
    blacken_unseen(max(entry_of(cache).iterdir(), key=lambda path: path.stat().st_size))
    assert content(opened(data)) != before  # no file is read as long as its stamp holds
    with verification.verifying():
        assert content(opened(data)) == before


def test_an_entry_is_read_whole_once_a_boot(
    opened: Open, data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(data)
    hashed: list[str] = []
    hash_of = verification._hash
    monkeypatch.setattr(verification, "_hash", lambda path: (hashed.append(path.name), hash_of(path))[1])
    opened(data)
    assert hashed == []
    another_boot(monkeypatch)
    opened(data)
    assert set(hashed) == json.loads((entry_of(cache) / verification.MANIFEST).read_text()).keys()
    once = len(hashed)
    opened(data)
    assert len(hashed) == once


def test_without_a_number_of_the_boot_each_process_proves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_BOOT", Path("/nowhere"))
    assert verification._boot.__wrapped__() != verification._boot.__wrapped__()


def test_a_process_keeps_the_files_that_it_has_mapped(opened: Open, album: Path, cache: Path) -> None:
    source = opened(album)
    before = content(source)
    (entry_of(cache) / "meta.json").unlink()
    opened(album)
    assert content(source) == before


def test_a_damaged_cache_of_data_that_are_damaged_too_is_an_error(opened: Open, album: Path, cache: Path) -> None:
    source = opened(album)
    for picture in album.rglob("*.png"):
        about = picture.stat()
        picture.write_bytes(b"")
        os.utime(picture, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(DataError, match="no readable picture"):
        opened(album)
    assert len(source.train) > 0


def test_a_cache_that_cannot_be_stamped_can_be_read(
    opened: Open, album: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(opened(album))
    another_boot(monkeypatch)

    def refuse(path: Path, *_: object) -> None:
        raise verification.StorageError(f"cannot write {path}")

    monkeypatch.setattr(verification, "replace", refuse)
    monkeypatch.setattr(pictures, "_prepare", lambda *_: pytest.fail("decoded again"))
    assert content(opened(album)) == before


def test_all_is_on_the_disk_before_the_entry_has_its_name(
    opened: Open, album: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    opened(album)
    names = [Path(path).name for path in synced]
    assert {"images.npy", "labels.npy", "held_out.npy", "meta.json"} <= set(names)
    assert any(name.startswith(verification.MANIFEST) for name in names)
    assert names[-2:] == ["entry", "cache"]  # its names, then its own name


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_kept_file_that_is_damaged_is_not_used(cache: Path, damage: str) -> None:
    path = cache / "statistics" / "name"
    assert kept(path) is None
    keep(path, b"figures" * 100)
    assert kept(path) == b"figures" * 100
    DAMAGE[damage](path)
    assert kept(path) is None
    keep(path, b"figures")
    assert kept(path) == b"figures"


def test_a_result_is_no_less_right_if_it_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("in the way")
    keep(tmp_path / "cache" / "statistics" / "name", b"figures")
    (line,) = (record.getMessage() for record in caplog.records)
    assert "cannot be written" in line
    assert "GENLAB_CACHE" in line
