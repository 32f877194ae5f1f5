import errno
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError
from genlab.data import arrange, pictures
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
    monkeypatch.setattr(pictures, "decode", forbidden)
    monkeypatch.setattr(pictures, "read_header", forbidden)
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


def _killed_while_preparing(cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "images.npy").write_bytes(b"half")
        os._exit(9)

    prepared(cache, "key", build)


def test_a_killed_preparation_is_never_taken_for_a_result(cache: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed_while_preparing, args=(cache,))
    process.start()
    process.join()
    assert process.exitcode == 9
    left = list(cache.iterdir())
    assert [path.suffix for path in left] == [".part"]

    def build(folder: Path) -> None:
        (folder / "images.npy").write_bytes(b"whole")

    assert (prepared(cache, "key", build) / "images.npy").read_bytes() == b"whole"
    assert left[0].exists()  # it may still be at work
    os.utime(left[0], (time.time() - 2 * 24 * 3600,) * 2)
    prepared(cache, "another key", build)
    assert not left[0].exists()


def test_two_preparations_at_once_are_both_fine(cache: Path) -> None:
    def outer(folder: Path) -> None:
        (folder / "who").write_text("outer")
        prepared(cache, "key", inner)

    def inner(folder: Path) -> None:
        (folder / "who").write_text("inner")

    assert (prepared(cache, "key", outer) / "who").read_text() == "inner"
    assert len(list(cache.iterdir())) == 1


def test_a_full_disk_is_a_clear_error(
    opened: Open, album: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pictures, "_write", full)
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


def test_too_much_damage_need_not_be_decoded_twice(
    opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "cat" / "bad.jpg").write_text("no picture")
    with pytest.raises(DataError, match="--max-rejected"):
        opened(album)
    monkeypatch.setattr(pictures, "decode", forbidden)
    assert opened(album, max_rejected=0.05).total == 21


def test_meta_is_plain_json(opened: Open, album: Path, cache: Path) -> None:
    opened(album)
    meta = json.loads(next(cache.glob("*/meta.json")).read_text())
    assert meta["classes"] == ["cat", "dog"]


@pytest.mark.parametrize("file", ["images.npy", "meta.json", "labels.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_cache_says_what_to_remove(
    opened: Open, album: Path, cache: Path, file: str, damage: str
) -> None:
    opened(album)
    path = next(cache.glob(f"*/{file}"))
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=f'damaged.*Remove "{path.parent}"'):
        opened(album)
