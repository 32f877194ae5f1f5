"""SIGTERM and SIGINT end a run after a checkpoint; resumed, it ends in the same bits."""

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

import pytest

import genlab
from genlab.cli.main import run as command
from genlab.training.interruption import Interrupted, Interruption
from genlab.training.run_folder import RunFolder
from sabotage import TINY, End, begin, differences, finish, in_child, outcome, train

STEPS = 400
RHYTHM = {"steps": STEPS, "log_every": 3, "checkpoint_every": 10_000, "evaluate_every": 150, "preview_every": 120}


def _genlab(errors: Path, *words: object) -> int:
    """Run a command in a process that was forked for it; return its exit code."""
    with errors.open("w") as stream, redirect_stderr(stream):
        return command([str(word) for word in words])


def _lines(run: RunFolder, alive: Callable[[], bool], number: int) -> None:
    """Wait until the run has `number` new lines of history."""
    before = len(run.history())
    while len(run.history()) < before + number:
        assert alive()
        time.sleep(0.01)


def _started_and_stopped(words: Sequence[str], run: RunFolder) -> str:
    """Start the program, and send it SIGTERM; return what it wrote to stderr."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "genlab", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _lines(run, lambda: process.poll() is None, 10)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, stderr
    assert stdout == ""
    return stderr


def _resumed_and_stopped(run: RunFolder, errors: Path) -> str:
    """Resume the run, and send it SIGINT; return what was written to stderr."""
    process, answers = begin(_genlab, errors, "resume", run.path)
    _lines(run, process.is_alive, 10)
    os.kill(process.pid, signal.SIGINT)
    assert finish(process, answers) == End(0, 128 + signal.SIGINT), errors.read_text()
    return errors.read_text()


def test_both_signals_save_and_the_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    options = {**TINY, **RHYTHM, "root": str(tmp_path / "whole")}
    assert in_child(train, "gan", options).code == 0
    flags = [f"--{n.replace('_', '-')}={v}" for n, v in (options | {"root": tmp_path}).items()]
    run, errors = RunFolder(tmp_path / "run"), tmp_path / "errors"
    steps = [0]
    for stop, number in (
        (partial(_started_and_stopped, ["train", "gan", *flags]), signal.SIGTERM),
        (partial(_resumed_and_stopped, errors=errors), signal.SIGINT),
    ):
        stderr = stop(run=run)
        step = run.events("interrupted")[-1]["step"]
        assert run.events("interrupted")[-1]["signal"] == number
        assert run.events("checkpoint")[-1]["step"] == step
        steps.append(step)
        assert f"genlab: {number.name} at step {step}; a checkpoint was written" in stderr
        assert "genlab resume" in stderr
        assert "Traceback" not in stderr
    assert steps == sorted(set(steps))
    assert steps[-1] < STEPS
    assert in_child(_genlab, errors, "resume", run.path) == End(0, 0)
    assert differences(outcome(run.path), outcome(tmp_path / "whole" / "run")) == []


def test_the_first_signal_is_noted_and_the_second_ends_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        assert interruption.received == 0
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.received == signal.SIGINT
        assert (
            "SIGINT: finishing the step and saving; a second signal ends without saving." in capfd.readouterr().err
        )
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_off_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    received = []

    def work() -> None:
        with Interruption() as interruption:
            assert signal.getsignal(signal.SIGTERM) is before
            received.append(interruption.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert received == [0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_is_that_of_shells(number: signal.Signals, code: int) -> None:
    interrupted = Interrupted(number, 12)
    assert interrupted.exit_code == code
    assert number.name in str(interrupted)
    assert "step 12" in str(interrupted)


def test_a_terminal_that_is_closed_is_heard_and_nohup_is_respected() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        for handler, heard in ((signal.SIG_DFL, signal.SIGHUP), (signal.SIG_IGN, 0)):
            signal.signal(signal.SIGHUP, handler)
            with Interruption() as interruption:
                signal.raise_signal(signal.SIGHUP)
                assert interruption.received == heard
            assert signal.getsignal(signal.SIGHUP) == handler
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE, errno.ENOSPC])
def test_a_terminal_that_is_gone_does_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys, "stderr", Gone())
    result = genlab.train("gan", root=tmp_path, **{**TINY, "steps": 3})
    assert result.progress.step == 3
    assert genlab.load(result) is not None
