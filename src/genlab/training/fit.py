"""The training loop, the same for every family."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.contract import Signals, Training
from genlab.core.device import device_of, subnormals_flushed
from genlab.core.distributed import all_reduce_max_, all_reduce_mean_, current_shard, losses_named
from genlab.core.errors import NonFiniteError, RunFailureError
from genlab.core.optimizer import require_finite, set_learning_rates
from genlab.core.random import derive_seed, restart_stream
from genlab.core.schedules import Schedule
from genlab.core.signal_kinds import CRITERION
from genlab.diagnosis.finding import Finding
from genlab.training.average import Average
from genlab.training.callbacks import Callbacks, Progress
from genlab.training.inference import inference_mode
from genlab.training.interruption import Interrupted, Interruption
from genlab.training.probes import probed_step

CHECKPOINT_SECONDS = 300.0  # most time between two checkpoints, and so the most that a crash costs


@dataclass(frozen=True)
class Cadence:
    """How long to train and how often to log, preview, evaluate and save; in steps unless named otherwise."""

    steps: int
    minutes: float | None = None
    log_every: int = 20
    preview_every: int = 200
    evaluate_every: int = 500
    checkpoint_every: int = 500
    patience: int | None = None  # evaluations without improvement after which the run ends
    rate: Schedule | None = None  # factor on all learning rates, by step
    seed: int = 0  # for layers that draw random numbers, such as dropout
    more_phases: bool = False  # whether another phase follows these steps


class Source(Protocol):
    """An endless iterator over batches that counts them."""

    position: int  # global batches delivered so far

    def __iter__(self) -> "Source":
        """Return the iterator itself."""
        ...

    def __next__(self) -> Batch:
        """Return the next batch."""
        ...


def fit(
    training: Training,
    batches: Source,
    cadence: Cadence,
    progress: Progress,
    callbacks: Callbacks,
    average: Average | None = None,
) -> bool:
    """Train until the steps, minutes or patience of `cadence` are used up, and keep `progress` up to date.

    Returns whether the run continues with another phase. With an `average`, the averaged weights are previewed,
    evaluated and published.

    Raises:
        NonFiniteError: a loss or gradient was NaN or infinite; the last checkpoint is finite and whole.
        Interrupted: a process received SIGINT, SIGTERM or SIGHUP; a checkpoint was written first.
        LostProcessError: another process of the training has ended.
        RunFailureError: the doctor found a failure, and `callbacks.stop_on_failure` is set.
    """
    loop = _Loop(training, batches, cadence, progress, callbacks, average)
    device = device_of(training.model)
    with Interruption() as interruption, loop.faults_reported(), losses_named():
        while not loop.finished():
            # Layers that draw random numbers (dropout) get a stream that depends only on the step.
            restart_stream(derive_seed(cadence.seed, "layers", progress.step), device)
            if cadence.rate:
                set_learning_rates(training.optimizers.values(), cadence.rate(progress.step))
            probing = probed_step(callbacks.probes, training, progress.step + 1, cadence.log_every)
            with probing as probed, subnormals_flushed():
                signals = training.step(progress.step, batches)
            loop.advance(interruption.received)
            if average:
                average.update(progress.step)
            loop.after_step({**signals, **probed})
            if loop.failing and callbacks.stop_on_failure:
                loop.fail()
            if loop.received and not loop.finished():
                loop.checkpoint()
                raise loop.interrupted()
        loop.conclude()
        if loop.received and loop.goes_on():
            raise loop.interrupted()
    return loop.goes_on()


class _Loop:
    """Decides what is due after each step, and does it."""

    def __init__(
        self,
        training: Training,
        batches: Source,
        cadence: Cadence,
        progress: Progress,
        callbacks: Callbacks,
        average: Average | None,
    ) -> None:
        self.training, self.batches, self.cadence, self.progress = training, batches, cadence, progress
        self.callbacks = callbacks
        self.published = average.model if average else training.model
        self.started = time.monotonic() - progress.seconds
        self.saved_at = time.monotonic()
        self.saved_step = self.evaluated_step = self.previewed_step = progress.step
        self.received, self.out_of_time, self.overdue = 0, self._out_of_time(), False
        self.failure: Finding | None = None  # found by the doctor, which only the first process runs
        self.failing = False

    def _out_of_time(self) -> bool:
        return self.cadence.minutes is not None and self.progress.seconds >= 60 * self.cadence.minutes

    def finished(self) -> bool:
        """Whether steps, minutes or patience are used up."""
        return self.progress.step >= self.cadence.steps or self.out_of_time or self.out_of_patience()

    def out_of_patience(self) -> bool:
        """Whether the last `patience` evaluations did not improve on the best."""
        cadence, best = self.cadence, self.progress.best_step
        if cadence.patience is None or best is None:
            return False
        return self.evaluated_step - best >= cadence.patience * cadence.evaluate_every

    def goes_on(self) -> bool:
        """Whether another phase follows, and there are minutes and patience left for it."""
        return self.cadence.more_phases and not (self.out_of_time or self.out_of_patience())

    def advance(self, received: int) -> None:
        """Count the step. The first process decides what depends on a clock; a signal to any is for all."""
        progress = self.progress
        progress.step += 1
        progress.batches = self.batches.position
        progress.seconds = time.monotonic() - self.started
        waited = time.monotonic() - self.saved_at
        mine = self._out_of_time(), waited > CHECKPOINT_SECONDS, self.failure is not None
        self.received, out_of_time, overdue, failing = agreed(*mine, heard=received)
        self.out_of_time, self.overdue, self.failing = bool(out_of_time), bool(overdue), bool(failing)

    def after_step(self, signals: Signals) -> None:
        """Record, preview, evaluate and save, as far as due after this step."""
        step, cadence = self.progress.step, self.cadence
        record = step % cadence.log_every == 0 or step == 1
        preview, evaluate = step % cadence.preview_every == 0, step % cadence.evaluate_every == 0
        save = step % cadence.checkpoint_every == 0 or self.overdue
        if record or preview or evaluate or save:
            require_finite(self.training.optimizers.values())
        if record:
            self.record(signals)
        if self.finished():
            return  # `conclude` does the rest, so that the checkpoint comes after everything else of its step
        if preview:
            self.preview()
        if evaluate:
            self.evaluate()
        if save and self.saved_step != step:
            self.checkpoint()

    def conclude(self) -> None:
        """Preview, evaluate and save the last step, unless done; report the diagnosis if the run ends."""
        require_finite(self.training.optimizers.values())
        step = self.progress.step
        if self.previewed_step != step:
            self.preview()
        if self.evaluated_step != step:
            self.evaluate()
        if self.saved_step != step:
            self.checkpoint()
        if self.goes_on():
            return
        self.conclude_diagnosis()
        if self.out_of_patience():
            self.notify("patience", {"evaluations without a better one": self.cadence.patience})

    def record(self, signals: Signals) -> None:
        """Read the signals from the device, averaged over the processes, and log them."""
        parts = [tensor.detach().float().reshape(-1) for tensor in signals.values()]
        names = [name for signal in signals.items() for name in _names(*signal)]
        values = all_reduce_mean_(torch.cat(parts)).tolist()
        line = {"seconds": round(self.progress.seconds, 3), **dict(zip(names, values, strict=True))}
        for observer in self.callbacks.observers:
            observer.scalars(self.progress.step, line)
        self.diagnose(line)

    def diagnose(self, values: Mapping[str, float]) -> None:
        """Pass values to the doctor, and report its findings."""
        doctor = self.callbacks.doctor
        for finding in doctor.update(self.progress.step, values) if doctor else ():
            self.notify("finding", finding.values())
            if finding.severity == "failure":
                self.failure = self.failure or finding

    def conclude_diagnosis(self) -> None:
        """Report the findings at the end, and the resolved ones."""
        if self.callbacks.doctor:
            found = self.callbacks.doctor.now()
            past = [{"rule": each.rule, "since": each.since, "until": each.until} for each in found.past]
            self.notify("diagnosis", {"findings": [finding.rule for finding in found.findings], "past": past})

    def fail(self) -> None:
        """Save a failing run and end it; the best checkpoint is kept.

        Raises:
            RunFailureError: always.
        """
        self.checkpoint()
        raise RunFailureError(self.failure.line() if self.failure else "the run is failing", self.failure)

    def interrupted(self) -> Interrupted:
        """Report that an operating-system signal ends the run, and return the error to raise."""
        self.conclude_diagnosis()
        self.notify("interrupted", {"signal": self.received})
        return Interrupted(self.received, self.progress.step)

    def preview(self) -> None:
        """Draw a preview with the published weights."""
        self.previewed_step = self.progress.step
        if self.callbacks.preview and self.callbacks.observers:
            with inference_mode(self.published):
                picture = self.callbacks.preview(self.published)
            for observer in self.callbacks.observers:
                observer.picture(self.progress.step, picture)

    def evaluate(self) -> None:
        """Evaluate the published weights, and save them if they are the best so far.

        An evaluation that happens only because the run ends here is never the best: a longer run would not have
        it.
        """
        self.evaluated_step = self.progress.step
        if not self.callbacks.evaluate:
            return
        with inference_mode(self.published):
            evaluation = self.callbacks.evaluate(self.published)
        progress, value = self.progress, evaluation.value
        better = value < (math.inf if progress.best_value is None else progress.best_value)  # NaN is never better
        _, best = agreed(better and progress.step % self.cadence.evaluate_every == 0)
        if best:
            progress.best_value, progress.best_step = value, progress.step
        self.notify("evaluation", {**evaluation.event(), "best": bool(best)})
        self.diagnose({CRITERION: value})
        if best:
            self.checkpoint(best=True)

    def checkpoint(self, *, best: bool = False) -> None:
        """Save the run as it is now."""
        self.callbacks.save(self.progress, best=best, failing=self.failure is not None)
        self.saved_step, self.saved_at = self.progress.step, time.monotonic()
        self.notify("checkpoint", {"best": best})

    @contextmanager
    def faults_reported(self) -> Iterator[None]:
        """Notify the observers of NaN or Inf before it ends the run."""
        try:
            yield
        except NonFiniteError as fault:
            self.notify("fault", {"player": fault.player, "tensor": fault.tensor, "value": fault.value})
            raise

    def notify(self, kind: str, details: Mapping[str, Any]) -> None:
        """Notify the observers of an event."""
        for observer in self.callbacks.observers:
            observer.event(self.progress.step, kind, details)


def _names(name: str, signal: Tensor) -> list[str]:
    """Return the names of a signal's values: its own name, or for a profile kl[0], kl[1], …"""
    return [f"{name}[{place}]" for place in range(len(signal))] if signal.ndim else [name]


def agreed(*values: int, heard: int = 0) -> list[int]:
    """Return what all processes act on: what any has `heard`, and the first one's `values`, none negative."""
    mine = values if current_shard().rank == 0 else [0] * len(values)
    return all_reduce_max_(torch.tensor([heard, *mine])).tolist()
