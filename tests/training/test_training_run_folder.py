"""The folder of a run: its name, its lock, its lines, and what is forgotten when a run goes back."""

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.core.errors import CheckpointError, GenlabError, StorageError, UsageError
from genlab.core.files import append
from genlab.core.warnings import warn_once
from genlab.runs import train as run_module
from genlab.training import lines
from genlab.training.run_folder import RunFolder, find
from sabotage import TINY, Disk, begin, finish, in_child, train

SHORT = {**TINY, "steps": 4, "evaluate_every": 100, "preview_every": 100, "checkpoint_every": 2}


def test_names_count_up_and_latest_is_the_newest(tmp_path: Path) -> None:
    names = []
    for name in ("dcgan", "dcgan", "vae", "dcgan", "dcgan-x"):
        folder = RunFolder.create(tmp_path / "runs", name)
        folder.become_latest()
        names.append(folder.path.name)
        assert (tmp_path / "runs" / "latest").resolve() == folder.path.resolve()
        assert (folder.path / "previews").is_dir()
        assert (folder.path / "checkpoints").is_dir()
    assert names == ["dcgan", "dcgan-2", "vae", "dcgan-3", "dcgan-x"]
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == sorted([*names, "latest"])


@pytest.mark.parametrize("name", ["latest", "a/b", "../a", ".hidden", ""])
def test_a_name_that_is_no_folder_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        RunFolder.create(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists()


def test_a_name_is_never_used_again(tmp_path: Path) -> None:
    for _ in range(12):
        RunFolder.create(tmp_path, "vae")
    (tmp_path / "vae-2").rename(tmp_path / "precious")
    assert RunFolder.create(tmp_path, "vae").path.name == "vae-13"


def test_latest_may_dangle(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("gone")
    run = RunFolder.create(tmp_path, "vae")
    run.become_latest()
    assert (tmp_path / "latest").resolve() == run.path.resolve()


def _create_many(root: Path) -> list[str]:
    while not (root / "go").exists():
        pass
    runs = []
    for _ in range(20):
        runs.append(RunFolder.create(root, "gan"))
        runs[-1].become_latest()
    return [run.path.name for run in runs]


def test_processes_that_create_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    children = [begin(_create_many, tmp_path) for _ in range(3)]
    (tmp_path / "go").touch()
    ends = [finish(*child) for child in children]
    assert [end.code for end in ends] == [0, 0, 0]
    names = [name for end in ends for name in end.said]
    assert len(set(names)) == 60
    newest = (tmp_path / "latest").resolve().name
    assert newest in {end.said[-1] for end in ends}
    assert not list(tmp_path.glob(".latest*"))


def test_a_second_process_in_the_same_folder_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    train("vae", {**SHORT, "root": tmp_path})
    run = RunFolder(tmp_path / "run")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with run.lock():
        end = in_child(train, "vae", {"root": tmp_path})
        assert end.code == GenlabError.exit_code
        assert end.said == ("GenlabError", f"another process is training in {run.path}; wait for it or stop it")
        with pytest.raises(GenlabError, match="another process"):
            genlab.resume(run.path, quiet=True)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    assert in_child(train, "vae", {"root": tmp_path}).code == 0


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    with run.lock():
        pass


def _filled(path: Path) -> RunFolder:
    run = RunFolder.create(path, "run")
    for step in range(1, 13):
        run.scalars(step, {"loss": step / 7})
        if step % 3 == 0:
            run.picture(step, np.zeros((2, 2, 3), np.uint8))
            run.event(step, "evaluation", {"fd": 0.5, "best": True})
            run.event(step, "checkpoint", {"best": False})
    run.event(12, "fault", {"player": "discriminator", "tensor": "t", "value": "NaN"})
    return run


def test_every_torn_last_line_is_tolerated(tmp_path: Path) -> None:
    run = _filled(tmp_path)
    path = run.path / "history.jsonl"
    whole, records = path.read_bytes(), run.history()
    start = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for length in range(start, len(whole)):
        path.write_bytes(whole[:length])
        assert run.history() == records[:-1]
        run.rewind(8)
        assert run.history() == records[:8]
        run.scalars(9, {"loss": 9 / 7})
        assert run.history() == records[:9]


@pytest.mark.parametrize("step", range(13))
def test_what_will_be_recorded_again_is_forgotten_and_faults_stay(tmp_path: Path, step: int) -> None:
    run = _filled(tmp_path)
    run.rewind(step)
    assert [line["step"] for line in run.history()] == list(range(1, step + 1))
    kept = [at for at in (3, 6, 9, 12) if at <= step]
    assert [event["step"] for event in run.events("evaluation")] == kept
    assert [event["step"] for event in run.events("checkpoint")] == kept
    assert [int(path.stem) for path in run.previews()] == kept
    assert [event["step"] for event in run.events("fault")] == [12]
    assert sorted(p.name for p in run.path.iterdir() if p.is_file()) == ["events.jsonl", "history.jsonl"]


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "run")
    values = {"seconds": 0.123, "loss": 1 / 3, "tiny": 5e-324, "D(x)": 1e30}
    run.scalars(1, values)
    assert run.history() == [{"step": 1, **values}]
    run.event(1, "note", {"text": "a\nline break, “quotes” and ü"})
    (event,) = run.events()
    assert event["text"] == "a\nline break, “quotes” and ü"
    assert event["time"].endswith("Z")
    assert len((run.path / "events.jsonl").read_text().splitlines()) == 1


def test_previews_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "run")
    for step in (5, 999_999, 1_000_000, 20):
        run.picture(step, np.zeros((1, 1, 1), np.uint8))
    assert [int(path.stem) for path in run.previews()] == [5, 20, 999_999, 1_000_000]


def test_a_run_is_found_by_path_by_name_and_as_the_latest(tmp_path: Path) -> None:
    for _ in range(2):
        run = RunFolder.create(tmp_path, "dcgan")
        run.write_yaml("recipe.yaml", {"preset": "dcgan"})
        run.become_latest()
    for name in (run.path, "dcgan-2", "latest"):
        assert find(name, tmp_path).path == run.path.resolve()
    with pytest.raises(UsageError, match=r'no run "dcgam".*Did you mean "dcgan".*dcgan, dcgan-2'):
        find("dcgam", tmp_path)
    with pytest.raises(UsageError, match="There is no run in"):
        find("latest", tmp_path / "elsewhere")


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", ""])
def test_a_recipe_that_is_no_longer_one_is_named(tmp_path: Path, text: str) -> None:
    run = RunFolder.create(tmp_path, "run")
    run.write_text("recipe.yaml", text)
    with pytest.raises(GenlabError, match=r"recipe\.yaml"):
        run.read_yaml("recipe.yaml")


@pytest.fixture
def pixels(tmp_path: Path) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels)
    return {**SHORT, "data": str(tmp_path / "data.npz"), "size": 16, "root": tmp_path, "pixels": pixels}


@pytest.mark.parametrize("change", ["a pixel", "a picture less", "colour"])
def test_other_data_than_the_run_began_with_are_refused(pixels: dict[str, Any], change: str) -> None:
    images = pixels.pop("pixels")
    genlab.train("vae", quiet=True, **pixels)
    run = RunFolder(Path(pixels["root"]) / "run")
    weights = (run.last / "model.safetensors").read_bytes()
    altered = images.copy()
    if change == "a pixel":
        altered[17, 3, 3] ^= 1
    np.savez(
        pixels["data"],
        images={"a picture less": images[:-1], "colour": np.stack([images] * 3, -1)}.get(change, altered),
    )
    with pytest.raises(CheckpointError) as caught:
        genlab.resume(run.path, quiet=True, steps=6)
    assert f"{pixels['data']} is no longer what run was trained on" in str(caught.value)
    assert (run.last / "model.safetensors").read_bytes() == weights
    np.savez(pixels["data"], images=images)  # the same pictures in a new file
    assert genlab.resume(run.path, quiet=True, steps=6).progress.step == 6


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_not_gone_on_with(tmp_path: Path, name: str) -> None:
    train("vae", {**SHORT, "evaluate_every": 2, "root": tmp_path})
    run = RunFolder(tmp_path / "run")
    damaged = bytearray((run.last / name).read_bytes())
    damaged[-2] ^= 1
    (run.last / name).unlink()  # `best` may be another name of the same file
    (run.last / name).write_bytes(damaged)
    with pytest.raises(CheckpointError, match=f"last/{name} was altered.*best or last"):
        genlab.resume(run.path, quiet=True, steps=6)
    assert genlab.load(run.path, checkpoint="best").sample(2).shape == (2, 2)
    with pytest.raises(CheckpointError, match=name):
        genlab.load(run.path, checkpoint="last")


@pytest.mark.parametrize("option", [{"seed": 1}, {"batch_size": 8}, {"width": 9}, {"lr": 0.1}, {"size": 8}])
def test_what_would_change_the_course_of_a_run_is_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="start a new run"):
        genlab.resume(tmp_path, quiet=True, **option)


def test_a_longer_run_is_the_shorter_one_continued(tmp_path: Path) -> None:
    rhythm = {"evaluate_every": 3, "preview_every": 4, "checkpoint_every": 4}
    long = genlab.train("gan", quiet=True, **{**TINY, **rhythm, "steps": 24, "root": tmp_path / "a"})
    short = genlab.train("gan", quiet=True, **{**TINY, **rhythm, "steps": 12, "root": tmp_path / "b"})
    longer = genlab.resume(short, quiet=True, steps=24)
    assert json.loads((Path(longer) / "checkpoints" / "last" / "state.json").read_text())["step"] == 24
    for name in ("last/model", "last/training", "best/model", "best/training"):
        one, other = (Path(run) / "checkpoints" / f"{name}.safetensors" for run in (long, longer))
        assert one.read_bytes() == other.read_bytes()


def test_a_run_that_was_stopped_and_resumed_has_the_best_of_one_that_was_not(tmp_path: Path) -> None:
    """The evaluation at the end of the first half falls out of the cadence: it must not become the best."""
    options = {**SHORT, "evaluate_every": 8, "ema": 0.0}
    whole = genlab.train("vae", quiet=True, **{**options, "root": tmp_path / "whole", "steps": 16})
    half = genlab.train("vae", quiet=True, **{**options, "root": tmp_path / "half", "steps": 11})
    resumed = genlab.resume(half, quiet=True, steps=16)
    assert resumed.progress.best_step == whole.progress.best_step
    one, other = (Path(run) / "checkpoints" / "best" / "model.safetensors" for run in (whole, resumed))
    assert one.read_bytes() == other.read_bytes()


def test_minutes_that_are_used_up_are_said_and_not_kept(tmp_path: Path) -> None:
    run = genlab.train("vae", quiet=True, **{**SHORT, "root": tmp_path, "steps": 10_000, "minutes": 0.005})
    before = (Path(run) / "recipe.yaml").read_bytes()
    with pytest.raises(UsageError, match=r"used up its 0\.001 minutes"):
        genlab.resume(run, quiet=True, minutes=0.001)
    assert (Path(run) / "recipe.yaml").read_bytes() == before


def test_an_unknown_checkpoint_is_refused(tmp_path: Path) -> None:
    run = genlab.train("vae", quiet=True, **{**SHORT, "root": tmp_path})
    with pytest.raises(UsageError, match=r"one of best, last .*Did you mean \"best\""):
        genlab.load(run, checkpoint="bset")  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["", '{"step": 7, "cut', "\n"])
@pytest.mark.parametrize("count", [0, 1, 2, 700])
def test_the_newest_lines_are_all_lines_backwards(
    tmp_path: Path, count: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 1 << 13)
    run = RunFolder.create(tmp_path, "a")
    written = [{"step": step, "event": "note", "word": "é" * (step % 50)} for step in range(count)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in written)
    (run.path / "events.jsonl").write_text(text + end)
    assert list(run.newest("events")) == run.events()[::-1]
    assert run.events() == written


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"loss": 1.0}', b"\xff\xfe", b"[" * 100_000, b"\0" * 9])
def test_a_line_that_genlab_did_not_write_is_left_out_counted_and_kept(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder.create(tmp_path, "a")
    path = run.path / "history.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 2}\n\n' + line + b'\n{"step": 3}\n')
    assert run.history() == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert list(run.newest("history")) == run.history()[::-1]
    (said,) = caplog.messages
    assert said.startswith(
        f"2 lines of {path} cannot be read and are left out (first: line 2, which is not a JSON record with a step"
    )
    run.rewind(2)
    assert path.read_bytes() == b'{"step": 1}\n' + line + b'\n{"step": 2}\n' + line + b"\n"


def test_a_line_of_any_length_costs_little(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = RunFolder.create(tmp_path, "a")
    path = run.path / "history.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": ' + b" " * lines.LONGEST + b'2}\n{"step": 3}\n')
    assert run.history() == [{"step": 1}, {"step": 3}]
    assert list(run.newest("history")) == [{"step": 3}, {"step": 1}]
    assert "1 line of" in caplog.text
    assert "line 2, which is longer than 1,048,576 bytes" in caplog.text
    for kind in (os.mkfifo, os.mkdir):
        kind(run.path / "events.jsonl")
        for read in (run.events, lambda: next(run.newest("events"))):
            with pytest.raises(GenlabError, match=r"cannot read .*events\.jsonl: it is not a file"):
                read()
        (run.path / "events.jsonl").rename(tmp_path / kind.__name__)
    os.truncate(path, 40 << 30)  # sparse
    for read in (run.history, lambda: next(run.newest("history"))):
        with pytest.raises(
            GenlabError, match=r"cannot read .*history\.jsonl: it has 42,949,672,960 bytes, more than"
        ):
            read()


def test_looking_whether_a_run_trains_does_not_keep_it_from_training(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a")
    assert not run.in_training()
    with run.lock():
        assert run.in_training()
    assert not run.in_training()
    with (run.path / ".lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        Timer(0.03, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with run.lock():
            assert run.in_training()


def test_files_of_others_are_no_previews(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a")
    for name in ("000020.png", "000003.png", "notes.png", "000006.txt", "²³.png", "٣٣٣٣٣٣.png"):
        (run.path / "previews" / name).touch()
    (run.path / "previews" / "000007.png").mkdir()
    os.mkfifo(run.path / "previews" / "000008.png")
    assert [path.stem for path in run.previews()] == ["000003", "000020"]
    run.rewind(2)
    assert not run.previews()
    assert len(list((run.path / "previews").iterdir())) == 6


def test_drafts_of_killed_processes_are_swept_and_those_of_others_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path, "a")
    for name in ("report.html.0123abcd.new", "previews/000001.png.0123abcd.new", "mine.new", "b.0123abcd.new/c"):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).touch()
    renamed = Path.rename

    def swept_before(draft: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", renamed)
        run.sweep()
        return renamed(draft, target)

    monkeypatch.setattr(Path, "rename", swept_before)
    run.write_text("report.html", "report")
    kept = {"mine.new", "c", "report.html"}
    assert {path.name for path in run.path.rglob("*") if path.is_file()} == kept


def test_nothing_is_written_through_a_link_or_another_name_of_a_file(tmp_path: Path) -> None:
    run, mine = RunFolder.create(tmp_path, "a"), tmp_path / "mine"
    for name in ("report.html", "previews/000001.png", "history.jsonl", "events.jsonl"):
        for link in (Path.symlink_to, Path.hardlink_to):
            mine.write_text("precious")
            (run.path / name).unlink(missing_ok=True)
            link(run.path / name, mine)
            if link == Path.symlink_to and name.endswith("jsonl"):
                with pytest.raises(StorageError, match="symbolic links"):
                    append(run.path / name, "evil")
            run.picture(1, np.zeros((1, 1, 1), np.uint8))
            run.write_text("report.html", "evil")
            run.rewind(1)
            run.scalars(1, {})
            run.event(1, "note", {})
            assert mine.read_text() == "precious"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_no_file_is_refused_without_waiting(tmp_path: Path, make: Callable[[Path], None]) -> None:
    run = RunFolder.create(tmp_path, "a")
    run.write_yaml("recipe.yaml", {"preset": "vae", "steps": 1})
    make(run.path / ".lock")
    with pytest.raises(GenlabError, match=r"\.lock"), run.lock():
        pass
    with pytest.raises(GenlabError, match=r"\.lock is not a regular file\. Delete it"):
        run.in_training()
    assert ".lock is not a regular file" in genlab.runs(tmp_path).problems["a"]


def test_latest_leads_to_the_newest_run_if_not_to_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for age, name in enumerate(("newer", "older")):
        run = RunFolder.create(tmp_path, name)
        run.write_yaml("recipe.yaml", {"preset": "vae"})
        os.utime(run.path / "recipe.yaml", (1e9 - age, 1e9 - age))
    begun = RunFolder.create(tmp_path, "begun")
    for leads_to in (begun.path.name, "gone", None):
        (tmp_path / "latest").unlink(missing_ok=True)
        if leads_to:
            (tmp_path / "latest").symlink_to(leads_to)
        for name in ("latest", tmp_path / "latest"):
            caplog.clear()
            warn_once.cache_clear()
            assert find(name, tmp_path).path == tmp_path / "newer"
            said = f"{tmp_path}/latest does not lead to a run; the newest run, {tmp_path}/newer, is used instead"
            assert caplog.messages == [said]
    with pytest.raises(UsageError, match='no run "latest"'):
        find("latest", tmp_path / "begun")


class _KilledError(BaseException):
    """Ends a training at once."""


def test_a_kill_at_any_instant_of_a_beginning_leaves_latest_with_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = {**SHORT, "root": tmp_path}
    train("vae", options)
    monkeypatch.setattr(run_module, "rehearse", lambda run: {})  # takes time and writes nothing
    led_to = []
    for at in range(1, 40, 2):

        def act(number: int, kind: str, last: int = at) -> None:
            if number >= last:
                raise _KilledError

        with pytest.MonkeyPatch.context() as patch, suppress(_KilledError):
            Disk(tmp_path, act).watch(patch, flush=False)
            genlab.train("vae", quiet=True, **options)
        led_to.append(find("latest", tmp_path).path.name)
    assert led_to[:10] == ["run"] * 10
    assert led_to[-1] != "run"
    assert not caplog.messages
