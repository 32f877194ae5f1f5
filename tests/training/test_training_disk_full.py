"""Wherever the disk refuses, the run ends in a clear error and goes on to the same bits when there is room."""

import errno
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.core import files
from genlab.core.errors import NonFiniteError, StorageError
from genlab.runs import train as run_module
from genlab.training import checkpoint, report
from genlab.training.run_folder import RunFolder
from sabotage import TINY, Disk, differences, full, in_child, outcome, train

CLEAR = re.compile(r"cannot write \S+: .*\. Free some space \(or fix the permissions\) and try again\.")

NO_REPORT = "The report could not be written: "


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """A run of six steps in which everything happens that writes."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels, held_out_images=pixels[:8])
    monkeypatch.setattr(report, "draw", lambda *_: [])  # half of the time otherwise

    def named(out: str) -> dict[str, Any]:
        rhythm = {"steps": 6, "checkpoint_every": 2, "evaluate_every": 4, "preview_every": 3}
        own = {"data": str(tmp_path / "data.npz"), "size": 16, "ema": 0.9, "batch_size": 8, "width": 2}
        return {**TINY, **rhythm, **own, "root": str(tmp_path / out)}

    return named


def changes(options: dict[str, Any]) -> int:
    """Return how many changes the whole run makes."""
    disk = Disk(Path(options["root"]).parent, lambda number, kind: None)
    with pytest.MonkeyPatch.context() as patch:
        disk.watch(patch, flush=False)
        train("autoencoder", options)
    return disk.count


def go_on(options: dict[str, Any]) -> Path:
    """Go on with a run that ended early, or begin one where there is none; return its folder."""
    latest = Path(options["root"]) / "latest"
    folder = RunFolder(latest)
    saved = [event["step"] for event in folder.events("checkpoint")]
    if saved:
        assert checkpoint.load(folder.last).state["step"] >= saved[-1]
    train("autoencoder", options)
    return latest.resolve()


@pytest.mark.parametrize(
    ("once", "every"),
    [
        (False, 7),
        (True, 11),
        pytest.param(False, 1, marks=pytest.mark.slow),
        pytest.param(True, 1, marks=pytest.mark.slow),
    ],
    ids=["full from then on", "a single refusal", "full from each change on", "each single refusal"],
)
def test_any_refused_change_ends_in_an_error_and_in_the_same_bits_afterwards(
    options: Callable[[str], dict[str, Any]],
    once: bool,
    every: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    count = changes(options("whole"))
    assert count > 150
    reference = outcome(tmp_path / "whole" / "run")
    refused = []
    for at in range(1, count + 1, every):
        mine = options(str(at))
        with pytest.MonkeyPatch.context() as patch:
            full(tmp_path, at, once=once).watch(patch, flush=False)
            try:
                train("autoencoder", mine)
            except StorageError as error:
                refused.append(str(error))
                said = "\n".join(getattr(error, "__notes__", []))
                saved = checkpoint.exists(Path(mine["root"]) / "run" / "checkpoints" / "last")
                assert ("complete: " in said, "genlab resume" in said) == (saved, saved), f"change {at}"
            else:
                told = [text.removeprefix(NO_REPORT) for text in caplog.messages if text.startswith(NO_REPORT)]
                assert once or told, f"change {at} was refused and nobody told"
                refused += told
        caplog.clear()
        with pytest.MonkeyPatch.context() as patch:
            Disk(tmp_path, lambda number, kind: None).watch(patch, flush=False)
            run = go_on(mine)
        assert differences(outcome(run), reference) == [], f"change {at}"
        shutil.rmtree(mine["root"])
    assert [message for message in refused if not (CLEAR.match(message) and "No space left" in message)] == []
    assert len(refused) > (0.7 if once else 0.99) * count / every  # removals need no room, links can be copies


def test_a_kernel_that_refuses_a_long_file(options: Callable[[str], dict[str, Any]]) -> None:
    mine = options("limited") | {"width": 64}
    end = in_child(_limited, 20_000, train, "autoencoder", mine)
    assert end.code == StorageError.exit_code
    assert end.said[0] == "StorageError"
    assert CLEAR.match(end.said[1])
    assert os.strerror(errno.EFBIG) in end.said[1]
    with pytest.raises(genlab.core.errors.CheckpointError):
        checkpoint.load(Path(mine["root"]) / "run" / "checkpoints" / "last")
    assert go_on(mine)
    assert checkpoint.load(Path(mine["root"]) / "run" / "checkpoints" / "last").state["step"] == 6


def test_a_line_that_the_kernel_takes_in_part_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1}\n')
    end = in_child(_limited, 20, files.append, path, '{"step": 2, "loss": 0.123456789}')
    assert end.said[0] == "StorageError"
    assert CLEAR.match(end.said[1])
    assert path.stat().st_size == 20
    assert RunFolder(tmp_path).history() == [{"step": 1}]


def _limited(most: int, function: Callable[..., None], *arguments: Any) -> None:
    """Call `function` while no file may become longer than `most` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    function(*arguments)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up(options: Callable[[str], dict[str, Any]], small_disk: Path) -> None:
    long = {"steps": 60, "checkpoint_every": 5, "evaluate_every": 8, "preview_every": 1}
    whole = options("whole") | long
    train("autoencoder", whole)
    mine = options("disk") | long
    with pytest.raises(StorageError, match="No space left on device") as caught:
        train("autoencoder", mine)
    assert CLEAR.match(str(caught.value))
    assert "`genlab resume" in caught.value.__notes__[-1]
    reached = checkpoint.load(RunFolder(small_disk / "run").last).state["step"]
    assert 5 <= reached < 60
    with pytest.raises(StorageError):  # still no room
        train("autoencoder", mine)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    train("autoencoder", mine)
    assert differences(outcome(small_disk / "run"), outcome(Path(whole["root"]) / "run")) == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    refused = []
    for at in range(1, 10):
        with pytest.MonkeyPatch.context() as patch:
            full(tmp_path, at).watch(patch, flush=False)
            try:
                files.replace(path, b"a new one")
            except StorageError:
                refused.append(path.read_bytes())
    assert refused == [b"old"] * 5 + [b"a new one"]  # open, write, write on, flush, rename; flush the folder


def test_a_report_that_fails_does_not_hide_why_the_run_ended(
    options: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("no room for results.csv")

    monkeypatch.setattr(run_module, "write_report", refuse)
    with pytest.raises(NonFiniteError) as caught:
        genlab.train("autoencoder", quiet=True, **{**options("nan"), "lr": 1e38, "checkpoint_every": 1})
    assert caught.value.__notes__ == [
        f"{NO_REPORT}no room for results.csv",
        "No checkpoint of this run has been saved.",
    ]
    assert "there is no checkpoint of it" in str(genlab.runs(options("nan")["root"])[0])


def test_a_report_that_fails_takes_nothing_from_a_finished_run(
    options: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run_module, "write_report", break_down)
    run = genlab.train("autoencoder", quiet=True, **options("healthy"))
    assert run.state == "finished"
    assert f"{NO_REPORT}ZeroDivisionError()" in caplog.text
    assert f"Write the report with `genlab report {run.folder}`" in caplog.text
