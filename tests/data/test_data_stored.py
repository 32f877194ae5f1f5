"""Arrays are made once and then lie in the cache."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from genlab.core.errors import DataError
from genlab.data import idx, npz
from genlab.data.dataset import Source, Split, fingerprint

Open = Callable[..., Source]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    names = np.array(["cat", "dog"])[np.arange(30) % 2]
    np.savez(tmp_path / "set.npz", images=pixels, labels=names)
    return tmp_path / "set.npz"


def never(*_: object) -> NoReturn:
    raise AssertionError("read again")


def content(split: Split) -> tuple[bytes, bytes, tuple[str, ...], str]:
    assert split.labels is not None
    values = split.values[np.arange(len(split))]
    return values.tobytes(), split.labels.tobytes(), split.spec.class_names, split.fingerprint


def test_a_second_opening_reads_nothing_and_is_the_same(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(path)
    monkeypatch.setattr(npz, "open_arrays", never)
    second = opened(path)
    assert (second.name, second.total, dict(second.notes)) == (first.name, first.total, dict(first.notes))
    for one, other in ((first.train, second.train), (first.held_out, second.held_out)):
        assert content(one) == content(other)
        assert one.name == other.name
        assert fingerprint(other.values, other.labels) == other.fingerprint
    assert isinstance(second.train.values, np.ndarray)
    assert not second.train.values.flags.owndata  # a view of the file


def test_another_size_and_a_changed_file_are_made_anew(opened: Open, path: Path) -> None:
    first = opened(path, size=32)
    assert opened(path, size=16).train.spec.target.shape[1] == 16
    np.savez(path, images=np.zeros((30, 8, 8), np.uint8))
    os.utime(path, ns=(1, 1))
    changed = opened(path, size=32)
    assert changed.train.labels is None
    assert changed.train.fingerprint != first.train.fingerprint


def test_what_cannot_be_made_leaves_nothing_in_the_cache(opened: Open, path: Path, cache: Path) -> None:
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"not an \.npz"):
        opened(path)
    assert list(cache.iterdir()) == []


def test_idx_files_are_read_once(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stem in ("train", "t10k"):
        pixels = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
        for kind, head, array in (
            ("images-idx3-ubyte", [2051, 5, 28, 28], pixels),
            ("labels-idx1-ubyte", [2049, 5], np.arange(5, dtype=np.uint8)),
        ):
            (tmp_path / f"{stem}-{kind}").write_bytes(np.array(head, ">u4").tobytes() + array.tobytes())
    first = opened(tmp_path)
    monkeypatch.setattr(idx, "read_bytes", never)
    assert content(opened(tmp_path).train) == content(first.train)
