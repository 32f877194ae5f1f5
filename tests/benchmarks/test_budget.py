"""Work that is broken off goes on where it was, and only with the budget that it began with."""

import json
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch

import bits
import genlab
from budget import about, here, lines, train_for, work_off
from families import _steps
from genlab.core.errors import UsageError


def job(seed: int) -> list[tuple[list[tuple[str, object]]]]:
    return [([("preset", "glow"), ("seed", seed)],)]


def test_results_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    assert lines(results) == []
    (first,) = work_off(dict, job(0), results, workers=1)
    assert first == {"preset": "glow", "seed": 0, **here()}
    assert work_off(dict, job(1), results, workers=1) == lines(results) == [first, {**first, "seed": 1}]
    assert work_off(dict, [], results, workers=1) == lines(results)


def test_a_job_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    with pytest.raises(BaseExceptionGroup, match="1 of 3 jobs failed") as failed:
        work_off(dict, [(7,), *job(0), *job(1)], results, workers=1)
    assert isinstance(failed.value.exceptions[0], TypeError)  # of dict(7)
    assert [line["seed"] for line in lines(results)] == [0, 1]


def test_a_run_that_was_broken_off_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / "autoencoder-0"
    folder.mkdir()
    (folder / "history.jsonl").write_text("")
    threads, options = torch.get_num_threads(), {"size": 16, "width": 8, "batch_size": 8}
    try:
        run = train_for(1, "autoencoder", folder, options, steps=2)
        assert (run.folder, run.steps, run.images) == (folder, 2, 16)
        assert genlab.load(folder, checkpoint="last").encode(torch.zeros(1, 1, 16, 16)).shape[0] == 1
        assert train_for(1, "autoencoder", folder, options, steps=9) == run  # it is there
        with pytest.raises(UsageError, match="is a run of 1 minutes, and 5 are asked for"):
            train_for(5, "autoencoder", folder, options, steps=2)
    finally:
        torch.set_num_threads(threads)


def test_pages_say_of_every_machine_that_something_was_measured_on() -> None:
    first = {"date": "2001-01-01", "processor": "an abacus", "torch": "2.0"}
    assert about([first, first, {**first, "processor": "a quill"}]) == {**first, "processor": "an abacus; a quill"}


def test_elsewhere_runs_take_the_steps_of_the_first() -> None:
    parser = ArgumentParser(exit_on_error=False)
    glow = {"preset": "glow", "steps": 7, **here()}
    assert _steps([], {"glow"}, parser) == {}
    assert _steps([glow, {**glow, "steps": 9}], {"glow", "ddpm"}, parser) == {}  # by time, as the first
    elsewhere = {**glow, "processor": "an abacus"}
    there = [elsewhere, glow | {"preset": "ddpm"}, {**elsewhere, "steps": 9}]
    assert _steps(there, {"glow"}, parser) == {"glow": 7}
    with pytest.raises(SystemExit):  # nothing says how many steps of ddpm an abacus would have taken
        _steps(there, {"glow", "ddpm"}, parser)


def test_minutes_of_two_processors_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "bits.jsonl"
    line = {"preset": "glow", "data": "mnist", **here(), "processor": "an abacus"}
    results.write_text(json.dumps(line) + "\n")
    with pytest.raises(SystemExit):
        bits.main(["--runs", str(tmp_path), "--results", str(results)])
    assert "has lines of an abacus: the same minutes of" in capsys.readouterr().err
