"""SIGTERM and SIGINT end a run after a checkpoint; resumed, it ends in the same bits."""

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sabotage import TINY, differences, in_child, outcome, train

import genlab
from genlab.training.interruption import Interrupted, Interruption
from genlab.training.run_folder import RunFolder

STEPS = 600
RHYTHM = {"steps": STEPS, "log_every": 5, "checkpoint_every": 10_000, "evaluate_every": 250, "preview_every": 200}


def _genlab(*words: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "genlab", *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _stop(process: subprocess.Popen[str], run: RunFolder, number: signal.Signals) -> str:
    """Send the signal when there are ten new lines of history; return what the process wrote to stderr."""
    before = len(run.history())
    while len(run.history()) < before + 10:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number, stderr
    assert stdout == ""
    return stderr


def test_both_signals_save_and_the_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    options = {**TINY, **RHYTHM, "out": str(tmp_path / "whole")}
    assert in_child(train, "gan", options).code == 0
    flags = [f"--{n.replace('_', '-')}={v}" for n, v in (options | {"out": tmp_path}).items()]
    run = RunFolder(tmp_path / "run")
    steps = [0]
    for words, number in ((["train", "gan", *flags], signal.SIGTERM), (["resume", run.path], signal.SIGINT)):
        process = _genlab(*words)
        stderr = _stop(process, run, number)
        step = run.events("interrupted")[-1]["step"]
        assert run.events("interrupted")[-1]["signal"] == number
        assert run.events("checkpoint")[-1]["step"] == step
        steps.append(step)
        assert f"genlab: {number.name} at step {step}; a checkpoint was written" in stderr
        assert "genlab resume" in stderr
        assert "Traceback" not in stderr
    assert steps == sorted(set(steps))
    assert steps[-1] < STEPS
    process = _genlab("resume", run.path)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
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
    result = genlab.train("gan", out=tmp_path, **{**TINY, "steps": 3})
    assert result.progress.step == 3
    assert genlab.load(result) is not None
