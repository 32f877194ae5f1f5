import functools
import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError, UsageError
from genlab.data import named
from genlab.data.dataset import Source
from genlab.data.idx import FILES

Open = Callable[..., Source]
TRAIN, TEST = 60, 20


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def contents(side: int = 28, labels: int = 10) -> dict[str, bytes]:
    """Image i shows i everywhere and is labelled i modulo `labels`."""
    files = {}
    for stem, count in (("train", TRAIN), ("t10k", TEST)):
        numbers = np.arange(count) + (0 if stem == "train" else 100)
        files[f"{stem}-images-idx3-ubyte"] = idx(numbers[:, None, None].repeat(side, 1).repeat(side, 2))
        files[f"{stem}-labels-idx1-ubyte"] = idx(numbers % labels)
    return files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "idx"
    path.mkdir()
    for at, (name, content) in enumerate(contents().items()):
        if at % 2:
            (path / name).write_bytes(content)
        else:
            (path / f"{name}.gz").write_bytes(gzip.compress(content))
    return path


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENLAB_MNIST", raising=False)
    monkeypatch.delenv("GENLAB_FASHION_MNIST", raising=False)
    monkeypatch.setitem(named.NAMED, "fashion-mnist", replace(named.FASHION, installed=None))


def test_a_folder_of_idx_files_is_recognised(opened: Open, folder: Path) -> None:
    source = opened(folder)
    assert (len(source.train), len(source.held_out), source.total) == (TRAIN, TEST, TRAIN + TEST)
    assert source.train.spec.class_names == tuple("0123456789")
    assert source.held_out.labels is not None
    assert source.held_out.labels.tolist() == [number % 10 for number in range(100, 120)]


def test_28_pixels_are_padded_to_32_without_resampling(opened: Open, folder: Path) -> None:
    values = opened(folder).train.values[np.array([59])][0, 0]
    assert values.shape == (32, 32)
    assert (values[2:30, 2:30] == 59).all()
    values[2:30, 2:30] = 0
    assert (values == 0).all()


def test_other_sizes_are_resized(opened: Open, folder: Path) -> None:
    values = opened(folder, size=64, channels=3).train.values[np.array([59])][0]
    assert values.shape == (3, 64, 64)
    assert (values == 59).all()


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("way", ["path", "variable"])
def test_a_named_set_from_a_folder(
    opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    if way == "variable":
        monkeypatch.setenv(f"GENLAB_{name.upper().replace('-', '_')}", str(folder))
    source = opened(name if way == "variable" else f"{name}:{folder}")
    assert len(source.train) == TRAIN
    assert source.train.spec.class_names[1] == ("1" if name == "mnist" else "trouser")
    assert source.name == name


def test_what_the_system_installed_is_used(opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(named.NAMED, "fashion-mnist", replace(named.FASHION, installed=folder))
    assert len(opened("fashion-mnist").train) == TRAIN


@pytest.mark.skipif(not (named.FASHION.installed or Path()).is_dir(), reason="dataset-fashion-mnist not installed")
def test_debians_files_are_the_published_ones() -> None:
    assert named.FASHION.installed is not None
    for name in ("t10k-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        content = gzip.decompress((named.FASHION.installed / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == named.FASHION.sha256[name]


def test_a_folder_without_the_files_is_a_usage_error(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train-images-idx3-ubyte"):
        opened(f"mnist:{tmp_path}")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (FILES[1], None, "lacks train-labels"),
        (FILES[0], idx(np.zeros((4, 28, 28)))[:-1], "declares"),
        (FILES[0], b"\0\0\x0d\x03" + bytes(40), "not an IDX file"),
        (FILES[1], b"", "not an IDX file"),
        (FILES[1], idx(np.zeros(TRAIN + 1)), "do not fit"),
    ],
)
def test_damage_is_named(opened: Open, folder: Path, file: str, content: bytes | None, message: str) -> None:
    for path in folder.glob(f"{file}*"):
        path.unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message):
        opened(folder)


def test_a_cut_gzip_is_named(opened: Open, folder: Path) -> None:
    path = next(folder.glob("*.gz"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        opened(folder)


def test_labels_beyond_the_classes(opened: Open, tmp_path: Path) -> None:
    for name, content in contents(labels=11).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="10 classes do not fit"):
        opened(f"mnist:{tmp_path}")


def test_stacked_digits(opened: Open, folder: Path) -> None:
    source = opened(f"stacked-mnist:{folder}")
    assert (len(source.train), len(source.held_out)) == (128_000, 26_000)
    assert source.train.spec.target.shape == (3, 32, 32)
    assert source.train.spec.class_names[7] == "007"
    for side, first in ((source.train, 0), (source.held_out, 100)):
        index = np.arange(500)
        batch = side.batch(index)
        shown = side.values[index][:, :, 16, 16].astype(int)
        assert shown.min() >= first
        assert batch.condition["label"].tolist() == [100 * (r % 10) + 10 * (g % 10) + b % 10 for r, g, b in shown]
        assert side.labels is not None
        counts = np.bincount(side.labels, minlength=1000)
        assert (np.abs(counts - len(side) / 1000) < 6 * np.sqrt(len(side) / 1000)).all()
    assert opened(f"stacked-mnist:{folder}").train.fingerprint == source.train.fingerprint
    assert source.held_out.fingerprint != source.train.fingerprint
    with pytest.raises(UsageError, match="channels can only be 3"):
        opened(f"stacked-mnist:{folder}", channels=1)


def test_digits(opened: Open) -> None:
    source = opened("digits")
    assert source.total == len(source.train) + len(source.held_out) == 1797
    assert 140 < len(source.held_out) < 220
    assert source.train.spec.target.shape == (1, 32, 32)
    assert source.train.spec.class_names == tuple("0123456789")
    values = source.train.values[np.arange(len(source.train))]
    assert values.max() == 255
    assert values.min() == 0
    assert 60 < values.mean() < 95  # 4.88 of 16 in the original
    assert opened("digits").train.fingerprint == source.train.fingerprint
    assert opened("digits", size=16, channels=3).train.spec.target.shape == (3, 16, 16)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server on the loopback, and the folder that it serves: the four files, gzipped."""
    served = tmp_path / "served"
    served.mkdir()
    for name, content in contents().items():
        (served / f"{name}.gz").write_bytes(gzip.compress(content))
    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", served
        running.shutdown()
        thread.join()


@pytest.fixture
def published(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """mnist as if it were published on that server."""
    marks = {name: hashlib.sha256(content).hexdigest() for name, content in contents().items()}
    monkeypatch.setitem(named.NAMED, "mnist", replace(named.MNIST, url=server[0], sha256=marks))
    return server[1]


def test_a_download_is_checked_kept_and_used_again(opened: Open, published: Path, cache: Path) -> None:
    assert len(opened("mnist").train) == TRAIN
    assert sorted(path.name for path in (cache / "downloads" / "mnist").iterdir()) == sorted(
        f"{name}.gz" for name in FILES
    )
    for path in published.iterdir():
        path.unlink()
    assert len(opened("mnist").train) == TRAIN


def test_a_damaged_download_is_fetched_again(opened: Open, published: Path, cache: Path) -> None:
    opened("mnist")
    path = cache / "downloads" / "mnist" / f"{FILES[0]}.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert len(opened("mnist").train) == TRAIN


@pytest.mark.parametrize("wrong", [gzip.compress(b"something else"), b"<html>no</html>"], ids=["content", "page"])
def test_a_wrong_checksum_stops(opened: Open, published: Path, cache: Path, wrong: bytes) -> None:
    (published / f"{FILES[2]}.gz").write_bytes(wrong)
    with pytest.raises(DataError, match=r"t10k-images.*sha256.*mnist:FOLDER"):
        opened("mnist")
    assert sorted(path.name for path in (cache / "downloads" / "mnist").iterdir()) == sorted(
        f"{name}.gz" for name in FILES[:2]
    )


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "stacked-mnist"])
def test_offline_says_how_to_get_it(opened: Open, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    nobody = replace(named.NAMED[name], url="http://127.0.0.1:9/")
    monkeypatch.setitem(named.NAMED, name, nobody)
    with pytest.raises(DataError, match=r"cannot download .*GENLAB_(FASHION_)?MNIST=FOLDER"):
        opened(name)


def test_classes_are_the_labels_that_occur(opened: Open, tmp_path: Path) -> None:
    for name, content in contents().items():
        labels = np.frombuffer(content[8:], np.uint8) % 3 + 1
        (tmp_path / name).write_bytes(idx(labels) if "labels" in name else content)
    source = opened(tmp_path)
    assert source.train.spec.class_names == source.held_out.spec.class_names == ("1", "2", "3")
    assert source.train.labels is not None
    assert set(source.train.labels.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("shape", [(0, 28, 28), (4, 0, 28), (4, 28, 0)])
def test_an_empty_array_is_named(opened: Open, folder: Path, shape: tuple[int, ...]) -> None:
    (folder / f"{FILES[0]}").write_bytes(idx(np.zeros(shape)))
    with pytest.raises(DataError, match=r"declares \(.*\): it is empty"):
        opened(folder)


def test_a_gzip_that_holds_far_more_than_its_size_is_refused_by_its_header(opened: Open, folder: Path) -> None:
    zeros = struct.pack(">BBBBIII", 0, 0, 8, 3, 60_000, 256, 256) + bytes(2**20)
    (folder / f"{FILES[0]}.gz").write_bytes(gzip.compress(zeros))
    with pytest.raises(DataError, match=r"holds 3\.9 GB when decompressed"):
        opened(folder)


def test_more_bytes_than_declared_are_not_read(opened: Open, folder: Path) -> None:
    (folder / f"{FILES[0]}.gz").write_bytes(gzip.compress(idx(np.zeros((60, 28, 28))) + bytes(2**20)))
    with pytest.raises(DataError, match=r"declares .* but holds more"):
        opened(folder)
