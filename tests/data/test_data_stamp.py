"""Data that change are read again, however like the old ones the new files look from outside."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genlab.data.dataset import Source
from genlab.data.objects import as_source
from genlab.data.stamp import stamp, too_new

Write = Callable[[Path, int], Path]


def npz(folder: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    np.savez(folder / "set.npz", images=pixels)
    return folder / "set.npz"


def idx(folder: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    for stem in ("train", "t10k"):
        head = np.array([2051, 6, 28, 28], ">u4").tobytes()
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = np.array([2049, 6], ">u4").tobytes() + bytes(range(6))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(labels)
    return folder


def photos(folder: Path, seed: int) -> Path:
    """Bitmaps have the same length whatever they show."""
    from PIL import Image

    for name in "abcd":
        pixels = np.random.default_rng([seed, ord(name)]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.bmp")
    return folder


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def opened(write: Write, path: Path, cache: Path) -> str:
    given: object = files(path) if write is listed else str(path)
    source: Source = as_source(given, cache=cache, progress=False)
    return source.train.fingerprint + source.held_out.fingerprint


def listed(folder: Path, seed: int) -> Path:
    return photos(folder, seed)


KINDS = pytest.mark.parametrize("write", [npz, idx, photos, listed])


@KINDS
def test_files_overwritten_with_the_same_length_and_time_are_read_again(
    write: Write, root: Path, cache: Path
) -> None:
    path = write(root, 0)
    times = [(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files(path)]
    before = opened(write, path, cache)
    write(root, 1)
    for file, size, mtime in times:
        assert file.stat().st_size == size
        os.utime(file, ns=(mtime, mtime))
    assert opened(write, path, cache) != before
    assert opened(write, path, cache) == opened(write, path, cache / "empty")


@KINDS
def test_files_overwritten_at_once_are_read_again(write: Write, root: Path, cache: Path) -> None:
    """The clock of the file system may not have moved on meanwhile."""
    path = write(root, 0)
    before = opened(write, path, cache)
    write(root, 1)
    assert opened(write, path, cache) != before


def test_a_link_that_leads_to_another_file_is_noticed(root: Path, cache: Path) -> None:
    for seed, name in enumerate(("old", "new")):
        (root.parent / name).mkdir()
        photos(root.parent / name, seed)
    path = root / "a.bmp"
    (root / "b.bmp").symlink_to(root.parent / "old" / "b.bmp")
    path.symlink_to(root.parent / "old" / "a.bmp")
    before = opened(photos, root, cache)
    path.unlink()
    path.symlink_to(root.parent / "new" / "a.bmp")
    assert opened(photos, root, cache) != before


def test_a_stamp_is_taken_when_any_change_would_show(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two", b"one"):
        path.write_bytes(content)
        too_new(path.stat().st_ctime_ns)
        before = stamp(path.stat())
        assert not too_new(path.stat().st_ctime_ns)
        path.write_bytes(content)
        os.utime(path, ns=(before[1], before[1]))
        assert stamp(path.stat()) != before


def test_a_clock_ahead_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    assert too_new(2**62)
    assert slept == [0.02]
    assert not too_new(0)
