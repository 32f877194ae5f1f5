import errno
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError, UsageError
from genlab.data import arrange, decoding
from genlab.data.cache import cache_folder, prepared
from genlab.data.dataset import Source
from genlab.data.source import open_source

Open = Callable[..., Source]
Paint = Callable[..., Path]


def forbidden(*_: object) -> None:
    raise AssertionError("decoded again")


def test_a_second_opening_decodes_nothing_and_gives_the_same(
    opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "README.txt").write_text("text")
    first = opened(album)
    monkeypatch.setattr(decoding, "decode", forbidden)
    monkeypatch.setattr(decoding, "read_header", forbidden)
    second = opened(album)
    for one, other in ((first.train, second.train), (first.held_out, second.held_out)):
        assert one.fingerprint == other.fingerprint
        assert one.spec.class_names == other.spec.class_names
        assert (one.labels == other.labels).all()
        rows = np.arange(len(one))
        assert (one.values[rows] == other.values[rows]).all()
    assert (first.total, first.rejected, first.notes) == (second.total, second.rejected, second.notes)


def test_the_images_stay_on_disk(opened: Open, album: Path) -> None:
    values = opened(album).train.values
    base = values.values  # type: ignore[attr-defined]
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


@pytest.mark.parametrize("change", ["add", "remove", "rewrite", "rename"])
def test_a_changed_folder_is_noticed(opened: Open, album: Path, paint: Paint, change: str) -> None:
    before = opened(album)
    one = album / "cat" / "01.png"
    if change == "add":
        paint(album / "cat" / "new.png", 77)
    elif change == "remove":
        one.unlink()
    elif change == "rewrite":
        about = one.stat()
        content = bytearray(one.read_bytes())
        one.write_bytes(paint(album.parent / "x.png", 55).read_bytes().ljust(len(content), b"\0")[: len(content)])
        os.utime(one, ns=(about.st_atime_ns, about.st_mtime_ns))  # even where the times are put back
    else:
        one.rename(album / "dog" / "01.png")
    after = opened(album, max_rejected=1)
    marks = [(source.train.fingerprint, source.held_out.fingerprint) for source in (before, after)]
    assert marks[0] != marks[1]


def test_another_size_is_another_result(opened: Open, album: Path) -> None:
    assert opened(album, size=16).train.spec.target.shape[1] == 16
    assert opened(album, size=32).train.spec.target.shape[1] == 32
    assert opened(album, size=32, channels=1).train.spec.target.shape[0] == 1


def test_equal_names_sizes_and_times_in_another_folder_are_another_source(
    opened: Open, tmp_path: Path, paint: Paint
) -> None:
    marks = []
    for name in ("one", "two"):
        for at in range(4):
            path = paint(tmp_path / name / f"{at}.bmp", seed=at if name == "one" else at + 50)
            os.utime(path, (0, 0))
        marks.append(opened(tmp_path / name).train.fingerprint)
    assert marks[0] != marks[1]


def test_the_fingerprint_does_not_depend_on_the_place(opened: Open, album: Path, tmp_path: Path) -> None:
    first = opened(album)
    moved = album.rename(tmp_path / "elsewhere")
    assert opened(moved).train.fingerprint == first.train.fingerprint


def test_rejected_files_are_stepped_over(opened: Open, album: Path) -> None:
    whole = opened(album)
    (album / "cat" / "05x.png").write_bytes((album / "cat" / "05.png").read_bytes()[:300])
    source = opened(album, max_rejected=0.1)
    assert len(source.rejected) == 1
    assert source.train.fingerprint == whole.train.fingerprint
    assert source.held_out.fingerprint == whole.held_out.fingerprint


def test_a_preparation_that_fails_leaves_nothing(
    opened: Open, album: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(arrange, "lay_out", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(album)
    assert list(cache.iterdir()) == []
    assert len(opened(album).train) > 0


def kept(name: str) -> Callable[[Path], bytes]:
    """Return the content of a file of an entry."""
    return lambda entry: (entry / name).read_bytes()


def writing(content: bytes) -> Callable[[Path], None]:
    def build(entry: Path) -> None:
        (entry / "images.npy").write_bytes(content)

    return build


def _preparing(cache: Path, started: Event, killed: bool) -> None:
    def build(entry: Path) -> None:
        (entry / "images.npy").write_bytes(b"half")
        started.set()
        if killed:
            os._exit(9)
        time.sleep(60)

    prepared(cache, "key", build, kept("images.npy"))


@pytest.fixture
def at_work(cache: Path) -> Iterator[Callable[[bool], BaseProcess]]:
    """Start a process that prepares an entry."""
    forking, started = multiprocessing.get_context("fork"), []

    def start(killed: bool) -> BaseProcess:
        begun = forking.Event()
        process = forking.Process(target=_preparing, args=(cache, begun, killed))
        started.append(process)
        process.start()
        assert begun.wait(20)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_what_a_killed_preparation_left_is_no_result_and_is_removed(
    cache: Path, at_work: Callable[[bool], BaseProcess]
) -> None:
    at_work(True).join()
    assert [path.suffix for path in cache.iterdir()] == [".part"]
    assert prepared(cache, "key", writing(b"whole"), kept("images.npy")) == b"whole"
    assert len(list(cache.iterdir())) == 1


def test_a_preparation_at_work_keeps_its_folder_until_its_process_is_gone(
    cache: Path, at_work: Callable[[bool], BaseProcess]
) -> None:
    working = at_work(False)
    left = next(cache.glob("*.part"))
    os.utime(left, (0, 0))  # for days already
    prepared(cache, "another key", writing(b"whole"), kept("images.npy"))
    assert (left / "entry" / "images.npy").read_bytes() == b"half"
    working.kill()
    working.join()
    prepared(cache, "a third key", writing(b"whole"), kept("images.npy"))
    assert not left.exists()


def test_a_draft_without_a_lock_is_removed_after_a_day(cache: Path) -> None:
    left = cache / "0123.part"
    left.mkdir(parents=True)
    prepared(cache, "key", writing(b"whole"), kept("images.npy"))
    assert left.exists()
    os.utime(left, (time.time() - 2 * 24 * 3600,) * 2)
    prepared(cache, "another key", writing(b"whole"), kept("images.npy"))
    assert not left.exists()


def test_two_preparations_at_once_are_both_fine(cache: Path) -> None:
    def outer(entry: Path) -> None:
        (entry / "who").write_text("outer")
        prepared(cache, "key", inner, kept("who"))

    def inner(entry: Path) -> None:
        (entry / "who").write_text("inner")

    assert prepared(cache, "key", outer, kept("who")) == b"inner"
    assert len(list(cache.iterdir())) == 1


def test_a_full_disk_is_a_clear_error(
    opened: Open, album: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(decoding, "_write", full)
    with pytest.raises(DataError, match=r"is full.*GENLAB_CACHE"):
        opened(album)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(album: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written.*GENLAB_CACHE"):
        open_source(str(album), cache=tmp_path / "file" / "cache", progress=False)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("GENLAB_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "genlab"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/genlab")
    monkeypatch.setenv("GENLAB_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"


def test_without_a_home_the_cache_is_a_private_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("HOME", "XDG_CACHE_HOME", "GENLAB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a user without an entry, as in containers
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = cache_folder()
    assert folder == cache_folder() == tmp_path / f"genlab-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")  # somebody else may have put it there
    with pytest.raises(UsageError, match=r"no home folder.*GENLAB_CACHE"):
        cache_folder()


def test_a_home_folder_that_is_unknown_is_an_unknown_source() -> None:
    with pytest.raises(UsageError, match='no source "~nobody-at-all/photos"'):
        open_source("~nobody-at-all/photos", progress=False)


def test_too_much_damage_need_not_be_decoded_twice(
    opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "cat" / "bad.jpg").write_text("no picture")
    with pytest.raises(DataError, match="--max-rejected"):
        opened(album)
    monkeypatch.setattr(decoding, "decode", forbidden)
    assert opened(album, max_rejected=0.05).total == 21


def test_meta_is_plain_json(opened: Open, album: Path, cache: Path) -> None:
    opened(album)
    meta = json.loads(next(cache.glob("*/meta.json")).read_text())
    assert meta["classes"] == ["cat", "dog"]
