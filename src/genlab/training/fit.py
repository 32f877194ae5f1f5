"""The loop: the only one, for every family."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import Signals, Training
from genlab.core.device import of, subnormals_flushed
from genlab.core.distributed import all_reduce_mean_, broadcast_, world_size
from genlab.core.errors import NonFiniteError, RunFailureError
from genlab.core.optimizer import require_finite, set_learning_rates
from genlab.core.pictures import Picture
from genlab.core.random import derive, restart_stream
from genlab.core.schedules import Schedule
from genlab.core.signals import CRITERION
from genlab.diagnosis.doctor import Doctor
from genlab.diagnosis.finding import Finding
from genlab.training.average import Average
from genlab.training.evaluation import Evaluation
from genlab.training.inference import inference_mode
from genlab.training.interruption import Interrupted, Interruption
from genlab.training.probes import Probes, probed_step

CHECKPOINT_SECONDS = 300.0  # the most that a crash can cost, whatever --checkpoint-every says


@dataclass(frozen=True)
class Cadence:
    """How long to train and how often to do what; counted in steps unless named otherwise."""

    steps: int
    minutes: float | None = None
    log_every: int = 20
    preview_every: int = 200
    evaluate_every: int = 500
    checkpoint_every: int = 500
    patience: int | None = None  # evaluations without a better one before the run is over


@dataclass
class Progress:
    """How far a run is: what a checkpoint's state.json holds."""

    step: int = 0
    batches: int = 0
    seconds: float = 0.0
    best_value: float | None = None
    best_step: int | None = None

    def state(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Source(Protocol):
    """An endless source of batches that knows how many it has handed out."""

    position: int

    def __iter__(self) -> "Source":
        """Return itself."""
        ...

    def __next__(self) -> Batch:
        """Return the next batch."""
        ...


class Observer(Protocol):
    """What wants to know of a run: its folder, the terminal, a logger. Only the first process has any."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take the signals of a step."""
        ...

    def picture(self, step: int, picture: Picture) -> None:
        """Take a preview."""
        ...

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Take a checkpoint, an evaluation, a fault."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


@dataclass(frozen=True)
class Callbacks:
    """What the loop calls when it is time. All may be left out but `save`, which may do nothing."""

    save: Callable[..., None]  # (progress, is it the best?, sick=has the doctor found a failure?)
    evaluate: Callable[[nn.Module], Evaluation] | None = None
    preview: Callable[[nn.Module], Picture] | None = None
    probes: Probes | None = None
    doctor: Doctor | None = None
    stop_on_failure: bool = False  # stop where the doctor finds a failure
    observers: Sequence[Observer] = ()


def fit(
    training: Training,
    batches: Source,
    cadence: Cadence,
    progress: Progress,
    around: Callbacks,
    *,
    average: Average | None = None,
    rate: Schedule | None = None,
    seed: int = 0,
) -> None:
    """Train until the cadence's steps or minutes are used up; `progress` says how far that was.

    `rate` is the factor on all learning rates, step by step.

    Raises:
        NonFiniteError: a loss or gradient was NaN or infinite; the last checkpoint is finite and whole.
        Interrupted: SIGINT, SIGTERM or SIGHUP came; a checkpoint was written first.
        RunFailureError: the doctor found a failure, and is to be heeded.
    """
    loop = _Loop(training, batches, cadence, progress, around, average)
    device = of(training.model)
    with Interruption() as interruption, loop.faults_told():
        while not loop.finished():
            # A layer that draws by itself (dropout) draws from a stream that depends on the step alone.
            restart_stream(derive(seed, "layers", progress.step), device)
            if rate:
                set_learning_rates(training.optimizers.values(), rate(progress.step))
            looking = probed_step(around.probes, training, progress.step + 1, cadence.log_every)
            with looking as seen, subnormals_flushed():
                signals = training.step(progress.step, batches)
            loop.advance(interruption.received)
            if average:
                average.update(progress.step)
            loop.watch({**signals, **seen})
            if loop.ill and around.stop_on_failure:
                loop.give_up()
            if loop.received and not loop.finished():
                loop.checkpoint()
                loop.sum_up()
                loop.tell("interrupted", {"signal": loop.received})
                raise Interrupted(loop.received, progress.step)
        loop.conclude()


class _Loop:
    """What is due after a step, and when."""

    def __init__(
        self,
        training: Training,
        batches: Source,
        cadence: Cadence,
        progress: Progress,
        around: Callbacks,
        average: Average | None,
    ) -> None:
        self.training, self.batches, self.cadence, self.progress = training, batches, cadence, progress
        self.around = around
        self.published = average.model if average else training.model
        self.started = time.monotonic() - progress.seconds
        self.saved_at = time.monotonic()
        self.saved_step = self.evaluated_step = self.shown_step = progress.step
        self.received, self.late, self.overdue = 0, self._late(), False
        self.failure: Finding | None = None  # what the doctor found; only the first process asks one
        self.ill = False

    def _late(self) -> bool:
        return self.cadence.minutes is not None and self.progress.seconds >= 60 * self.cadence.minutes

    def finished(self) -> bool:
        """Whether steps, minutes or patience are used up."""
        return self.progress.step >= self.cadence.steps or self.late or self.hopeless()

    def hopeless(self) -> bool:
        """Whether as many evaluations as one has patience for were no better than the best."""
        cadence, best = self.cadence, self.progress.best_step
        if cadence.patience is None or best is None:
            return False
        return self.evaluated_step - best >= cadence.patience * cadence.evaluate_every

    def advance(self, received: int) -> None:
        """Count the step that was taken; what depends on a clock or a signal is what the first process says."""
        progress = self.progress
        progress.step += 1
        progress.batches = self.batches.position
        progress.seconds = time.monotonic() - self.started
        waited = time.monotonic() - self.saved_at
        known = received, self._late(), waited > CHECKPOINT_SECONDS, self.failure is not None
        self.received, late, overdue, ill = agreed(*known)
        self.late, self.overdue, self.ill = bool(late), bool(overdue), bool(ill)

    def watch(self, signals: Signals) -> None:
        """Record, show, evaluate and save whatever is due after this step."""
        step, cadence = self.progress.step, self.cadence
        record = step % cadence.log_every == 0 or step == 1
        show, assess = step % cadence.preview_every == 0, step % cadence.evaluate_every == 0
        save = step % cadence.checkpoint_every == 0 or self.overdue
        if record or show or assess or save:
            require_finite(self.training.optimizers.values())
        if record:
            self.record(signals)
        if self.finished():
            return  # `conclude` does the rest: a checkpoint comes after all that was due at its step
        if show:
            self.show()
        if assess:
            self.assess()
        if save and self.saved_step != step:
            self.checkpoint()

    def conclude(self) -> None:
        """Show, evaluate and save the end of the run, unless this step already was."""
        require_finite(self.training.optimizers.values())
        step = self.progress.step
        if self.shown_step != step:
            self.show()
        if self.evaluated_step != step:
            self.assess()
        if self.saved_step != step:
            self.checkpoint()
        self.sum_up()
        if self.hopeless():
            self.tell("patience", {"evaluations without a better one": self.cadence.patience})

    def record(self, signals: Signals) -> None:
        """Read the signals back from the device, averaged over the processes."""
        parts = [tensor.detach().float().reshape(-1) for tensor in signals.values()]
        names = [name for signal in signals.items() for name in _names(*signal)]
        values = all_reduce_mean_(torch.cat(parts)).tolist()
        line = {"seconds": round(self.progress.seconds, 3), **dict(zip(names, values, strict=True))}
        for observer in self.around.observers:
            observer.scalars(self.progress.step, line)
        self.consult(line)

    def consult(self, values: Mapping[str, float]) -> None:
        """Let the doctor see some values, and tell what it finds."""
        doctor = self.around.doctor
        for finding in doctor.see(self.progress.step, values) if doctor else ():
            self.tell("finding", finding.values())
            if finding.severity == "failure":
                self.failure = self.failure or finding

    def sum_up(self) -> None:
        """Tell what is wrong with the run as it is left; some of what was found may be over."""
        if self.around.doctor:
            self.tell("diagnosis", {"findings": [finding.rule for finding in self.around.doctor.now().findings]})

    def give_up(self) -> None:
        """End a run that is ill; the best checkpoint is kept, and what is now is the last.

        Raises:
            RunFailureError: always.
        """
        self.checkpoint()
        raise RunFailureError(self.failure.line() if self.failure else "the run is ill", self.failure)

    def show(self) -> None:
        """Draw a preview with the published weights."""
        self.shown_step = self.progress.step
        if self.around.preview and self.around.observers:
            with inference_mode(self.published):
                picture = self.around.preview(self.published)
            for observer in self.around.observers:
                observer.picture(self.progress.step, picture)

    def assess(self) -> None:
        """Evaluate the published weights; the best so far are kept.

        An evaluation that is made only because the run ends here is never the best: had the run gone on, it
        would not have been made.
        """
        self.evaluated_step = self.progress.step
        if not self.around.evaluate:
            return
        with inference_mode(self.published):
            evaluation = self.around.evaluate(self.published)
        progress, value = self.progress, evaluation.value
        better = value < (math.inf if progress.best_value is None else progress.best_value)  # NaN never is
        (best,) = agreed(better and progress.step % self.cadence.evaluate_every == 0)
        if best:
            progress.best_value, progress.best_step = value, progress.step
        told = {
            **evaluation.values,
            "criterion": evaluation.criterion,
            "images": evaluation.images,
            "best": bool(best),
        }
        self.tell("evaluation", {**told, "protocol": dict(evaluation.protocol)} if evaluation.protocol else told)
        self.consult({CRITERION: value})
        if best:
            self.checkpoint(best=True)

    def checkpoint(self, *, best: bool = False) -> None:
        """Save the run as it is now."""
        self.around.save(self.progress, best, sick=self.failure is not None)
        self.saved_step, self.saved_at = self.progress.step, time.monotonic()
        self.tell("checkpoint", {"best": best})

    @contextmanager
    def faults_told(self) -> Iterator[None]:
        """Let the observers know of a NaN or Inf before it ends the run."""
        try:
            yield
        except NonFiniteError as fault:
            self.tell("fault", {"player": fault.player, "tensor": fault.tensor, "value": fault.value})
            raise

    def tell(self, kind: str, details: Mapping[str, Any]) -> None:
        """Let the observers know of an event."""
        for observer in self.around.observers:
            observer.event(self.progress.step, kind, details)


def _names(name: str, signal: Tensor) -> list[str]:
    """Return the names of a signal's values: its own, or of a profile kl[0], kl[1], …"""
    return [f"{name}[{place}]" for place in range(len(signal))] if signal.ndim else [name]


def agreed(*values: int) -> list[int]:
    """Return the first process's `values` on every process, so that all turn off at the same step."""
    if world_size() == 1:
        return list(values)
    return broadcast_(torch.tensor(values)).tolist()
