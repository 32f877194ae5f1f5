"""A run that takes hours on a CPU says so before it starts, and is not changed by the attempt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import genlab
from genlab.core.batch import Batch
from genlab.core.distributed import WHOLE
from genlab.data.source import open_source
from genlab.recipes.resolve import resolve
from genlab.runs import duration, train
from genlab.runs.duration import duration_note, most_seconds
from genlab.runs.phases import RunSetup
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder

TINY: dict[str, Any] = {"width": 4, "batch_size": 4, "size": 16, "quiet": True}


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder: None)  # half a second each, tested elsewhere


def planned(preset: str, **options: Any) -> RunSetup:
    plan = resolve(preset, {"width": 4, "batch_size": 4, **options})
    return RunSetup(plan, open_source("digits", size=options.get("size", 16)), RunFolder(Path()), WHOLE)


def timed(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[int]:
    """Let steps take these seconds, one after the other, and return the list of the steps that were tried."""
    tried: list[int] = []

    def step(training: object, number: int, batches: object) -> float:
        tried.append(number)
        return seconds[min(number, len(seconds) - 1)]

    monkeypatch.setattr(duration, "_seconds", step)
    return tried


def test_a_long_run_says_how_long_and_what_takes_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 128 pixels is measured at 64, as a quarter of the time."""
    tried = timed(monkeypatch, 3.0)
    assert duration_note(planned("dcgan", size=128, steps=10_000)) == {
        "duration": "about 33 hours for 10,000 steps on this machine (12 s per step); --minutes or fewer --steps "
        "end it earlier, --size 64 takes about 8 hours"
    }
    assert tried == [0, 1]


@pytest.mark.parametrize(("preset", "size", "seen"), [("dcgan", 256, 64), ("conv-vae", 64, 64), ("glow", 128, 64)])
def test_large_images_are_measured_smaller(
    preset: str, size: int, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[int] = []

    def step(training: object, number: int, batches: Iterator[Batch]) -> float:
        sides.append(next(batches).x.shape[-1])
        return 100.0

    monkeypatch.setattr(duration, "_seconds", step)
    duration_note(planned(preset, size=size, steps=10_000_000))
    assert sides == [seen]


def test_a_step_that_may_take_long_is_announced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    timed(monkeypatch, 12.0)
    monkeypatch.setattr(duration, "PATIENCE", 1e-9)
    with caplog.at_level("INFO", logger="genlab"):
        for quiet in (True, False):
            duration_note(planned("dcgan", size=128, steps=10_000_000), quiet=quiet)
    assert [record.message for record in caplog.records] == ["timing a step, to say how long the training takes …"]


def test_a_first_step_that_only_prepares_is_not_taken_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = timed(monkeypatch, 1.5, 0.5, 0.4)
    note = duration_note(planned("dcgan", size=64, steps=1_000_000))["duration"]
    assert note.startswith("about 5 days for 1,000,000 steps on this machine (0.4 s per step)")
    assert note.endswith("end it earlier")
    assert tried == [0, 1, 2]


def test_a_run_of_less_than_an_hour_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = timed(monkeypatch, 0.5, 0.001)
    assert duration_note(planned("dcgan", size=64, steps=100_000)) == {}
    assert tried == [0, 1]


@pytest.mark.parametrize(
    "options", [{"steps": 100}, {"steps": 10**6, "minutes": 2.0}], ids=["small", "limited by minutes"]
)
def test_no_step_is_tried_where_the_answer_is_known(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = timed(monkeypatch, 12.0)
    assert duration_note(planned("dcgan", **options)) == {}
    assert tried == []


@pytest.mark.parametrize("preset", ["vae", "dcgan", "ddpm", "wgan-gp"])
def test_what_no_step_takes_more_than_grows_with_networks_and_batches(preset: str) -> None:
    (small,), (wide,), (large,) = (
        planned(preset, **options).phases for options in ({}, {"width": 16}, {"batch_size": 16})
    )
    assert most_seconds(small) < most_seconds(wide)
    assert most_seconds(small) < most_seconds(large)


@pytest.mark.parametrize(("preset", "options"), [("dcgan", {}), ("glow", {"flow_steps": 1})])
def test_timing_changes_no_bit_of_the_run(
    preset: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = genlab.train(preset, steps=2, root=tmp_path / "without", **TINY, **options)
    monkeypatch.setattr(duration, "LONG", 0.0)
    with_note = genlab.train(preset, steps=2, root=tmp_path / "with", **TINY, **options)
    one, other = (RunFolder(run.folder) for run in (without, with_note))
    assert not any("duration" in event for event in one.events("note"))
    (note,) = (event for event in other.events("note") if "duration" in event)
    assert note["step"] == 0
    assert "for 2 steps on this machine (" in note["duration"]
    mine, theirs = checkpoint.load(one.last), checkpoint.load(other.last)
    assert all(torch.equal(theirs.model[name], value) for name, value in mine.model.items())
    assert all(torch.equal(theirs.training[name], value) for name, value in mine.training.items())


def test_timing_leaves_the_random_numbers_of_torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "LONG", 0.0)
    before = torch.get_rng_state()
    assert duration_note(planned("denoising-autoencoder", steps=1)).keys() == {"duration"}
    assert torch.equal(torch.get_rng_state(), before)
