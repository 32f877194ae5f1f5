import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genlab.core.errors import DataError, UsageError
from genlab.data.dataset import Source
from genlab.data.describe import describe
from genlab.data.native import native_sizes
from genlab.data.progress import bar
from genlab.data.source import NAMES, locate

Open = Callable[..., Source]


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("fashion-mnst", "fashion-mnist"),
        ("digit", "digits"),
        ("rings8", "ring8"),
        ("stackedmnist", "stacked-mnist"),
    ],
)
def test_a_misspelt_name(opened: Open, source: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(source)
    assert f'no source "{source}". Did you mean "{meant}"?' in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("below", ["", "/train/cats"])
def test_a_misspelt_path(opened: Open, tmp_path: Path, below: str) -> None:
    (tmp_path / "photographs").mkdir()
    (tmp_path / "unrelated").mkdir()
    with pytest.raises(UsageError) as caught:
        opened(f"{tmp_path}/photografs{below}")
    assert f'Did you mean "{tmp_path}/photographs"?' in str(caught.value)


@pytest.mark.parametrize("there", [".dockerenv", "nowhere-near-it-at-all", "pictures"])
def test_neither_hidden_nor_unlike_neighbours_are_offered(opened: Open, tmp_path: Path, there: str) -> None:
    """However long the folder is that they share with what was asked for."""
    (tmp_path / there).mkdir()
    with pytest.raises(UsageError) as caught:
        opened(f"{tmp_path}/denver")
    assert "Did you mean" not in str(caught.value)


def test_a_misspelt_path_that_is_nearer_than_any_name(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dirty").mkdir()
    with pytest.raises(UsageError, match=r'Did you mean "dirty"\?'):
        opened("dirtyy")
    with pytest.raises(UsageError, match=r'Did you mean "digits"\?'):
        opened("digist")


def test_a_file_of_another_kind(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("text")
    with pytest.raises(UsageError, match="neither a folder nor"):
        opened(path)


@pytest.mark.parametrize("size", [0, 7, 513, -32])
def test_impossible_sizes(opened: Open, size: int) -> None:
    with pytest.raises(UsageError, match=f"no size {size}.*8 to 512"):
        opened("digits", size=size)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_impossible_channels(opened: Open, channels: int) -> None:
    with pytest.raises(UsageError, match=f"no {channels} channels"):
        opened("digits", channels=channels)


def test_a_home_folder_is_expanded(opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(album.parent))
    assert opened(f"~/{album.name}").total == 20


def test_a_name_wins_over_a_folder_and_a_dot_chooses_the_folder(
    opened: Open, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.rename(album.parent / "digits")
    monkeypatch.chdir(album.parent)
    assert opened("digits").total == 1797
    assert opened("./digits").total == 20


def test_a_source_is_located_for_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("photos") == str(tmp_path / "photos")
    assert locate("mnist:photos") == f"mnist:{tmp_path}/photos"
    assert [locate(name) for name in ("digits", "ring8", "phtos")] == ["digits", "ring8", "phtos"]


def test_a_description_holds_all_there_is_and_only_plain_values(opened: Open, album: Path) -> None:
    (album / "README.txt").write_text("text")
    source = opened(album)
    told = describe(source)
    assert json.loads(json.dumps(told)) == told
    assert told["total"] == 21
    assert told["accepted"] == 20
    assert told["shape"] == [3, 64, 64]
    assert told["rejected"] == [{"path": "README.txt", "reason": "not an image"}]
    splits = told["splits"]
    assert splits["train"]["count"] == len(source.train)
    assert {
        name: splits["train"]["classes"][name] + splits["held_out"]["classes"][name] for name in ("cat", "dog")
    } == {
        "cat": 10,
        "dog": 10,
    }
    values = source.train.values[np.arange(len(source.train))]
    assert splits["train"]["range"] == {
        "min": values.min(),
        "mean": pytest.approx(values.mean()),
        "max": values.max(),
    }
    assert splits["train"]["fingerprint"] == source.train.fingerprint
    assert "median 36" in told["notes"]["native size"]


def test_a_description_of_a_toy(opened: Open) -> None:
    told = describe(opened("ring8"))
    assert told["splits"]["train"]["dtype"] == "float32"
    assert -1 <= told["splits"]["train"]["range"]["min"] < -0.75
    assert sum(told["splits"]["held_out"]["classes"].values()) == 10_000


def test_no_bar_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with bar(True) as show:
        assert list(show.track([1, 2])) == [1, 2]
    assert capfd.readouterr() == ("", "")


def test_errors_are_for_readers(opened: Open, album: Path) -> None:
    """Several damaged files: the first few by name, the rest by number."""
    for at in range(8):
        (album / f"bad{at}.jpg").write_text("text")
    with pytest.raises(DataError) as caught:
        opened(album)
    assert "bad4.jpg: not an image; and 3 more" in str(caught.value)
    assert "--max-rejected 0.29" in str(caught.value)


@pytest.mark.parametrize("name", ["pipe.npz", "pipe.npy", "pipe.zip", "pipe"])
def test_a_fifo_is_not_waited_for(opened: Open, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="neither a folder nor"):
        opened(tmp_path / name)
    assert native_sizes(str(tmp_path / name)) is None
