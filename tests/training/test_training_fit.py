"""The loop: when it does what, with which weights, and what it leaves behind."""

import copy
import math
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.core.errors import NonFiniteError
from genlab.core.optimizer import adam
from genlab.core.pictures import Picture
from genlab.core.player import Player
from genlab.training import fit as loop
from genlab.training.average import Average
from genlab.training.callbacks import Callbacks, Progress
from genlab.training.checkpoint import Checkpoint
from genlab.training.evaluation import Evaluation
from genlab.training.fit import Cadence, fit
from genlab.training.inference import inference_mode
from genlab.training.interruption import Interrupted
from genlab.training.state import collect, restore


class Points:
    """An endless source: batch k is drawn from the seed k."""

    def __init__(self, position: int = 0) -> None:
        self.position = position

    def __iter__(self) -> "Points":
        return self

    def __next__(self) -> Batch:
        points = torch.randn(8, 3, generator=torch.Generator().manual_seed(self.position))
        self.position += 1
        return Batch(points, torch.arange(8))


class Toy:
    """Makes the output of normalised features small; two batches a step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Dropout(0.25))
        self.player = Player("toy", self.model, adam(self.model, "toy", 0.05, (0.9, 0.999)))
        self.optimizers = {"toy": self.player.optimizer}
        self.modes: list[bool] = []

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        self.modes.append(all(module.training for module in self.model.modules()))
        points = torch.cat([next(batches).x, next(batches).x])
        with self.player.learning():
            self.player.backward((self.model(points) - 1).square().mean())
            return self.player.update(step)


@dataclass
class Watcher:
    """Callbacks that write down what is asked of them, and an observer of the same run."""

    log: list[tuple[Any, ...]] = field(default_factory=list)
    saved: list[Progress] = field(default_factory=list)
    criteria: Mapping[int, float] = field(default_factory=dict)  # by number of the evaluation, from 1
    evaluations: int = 0
    seen: list[dict[str, Tensor]] = field(default_factory=list)

    def save(self, progress: Progress, *, best: bool, failing: bool) -> None:
        self.log.append(("save", progress.step, best))
        self.saved.append(replace(progress))

    def evaluate(self, model: nn.Module) -> Evaluation:
        self._look(model)
        self.evaluations += 1
        value = self.criteria.get(self.evaluations, 1.0 / self.evaluations)
        return Evaluation({"distance": value}, "distance", 1)

    def preview(self, model: nn.Module) -> Picture:
        self._look(model)
        return np.zeros((1, 1, 1), np.uint8)

    def _look(self, model: nn.Module) -> None:
        assert not torch.is_grad_enabled()
        assert not any(module.training for module in model.modules())
        self.seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.log.append(("scalars", step, tuple(values)))

    def picture(self, step: int, picture: Picture) -> None:
        self.log.append(("picture", step))

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        self.log.append((kind, step, dict(details)))

    def close(self) -> None:
        raise AssertionError("the loop does not close what it did not open")

    def steps(self, kind: str) -> list[int]:
        return [entry[1] for entry in self.log if entry[0] == kind]


RHYTHM = Cadence(steps=20, log_every=6, preview_every=7, evaluate_every=8, checkpoint_every=5)


def run(
    watcher: Watcher,
    plan: Cadence = RHYTHM,
    *,
    toy: Toy | None = None,
    progress: Progress | None = None,
    ema: float = 0.0,
    **callbacks: Any,
) -> tuple[Toy, Progress, Average | None]:
    toy, progress = toy or Toy(), progress or Progress()
    average = Average(toy.model, ema) if ema else None
    calls = {"evaluate": watcher.evaluate, "preview": watcher.preview, "observers": [watcher], **callbacks}
    fit(toy, Points(progress.batches), plan, progress, Callbacks(watcher.save, **calls), average)
    return toy, progress, average


def test_what_is_due_happens_at_its_step_and_once() -> None:
    watcher = Watcher()
    _, progress, _ = run(watcher)
    assert watcher.steps("scalars") == [1, 6, 12, 18]
    assert watcher.steps("picture") == [7, 14, 20]
    assert watcher.steps("evaluation") == [8, 16, 20]
    assert watcher.steps("save") == watcher.steps("checkpoint") == [5, 8, 10, 15, 16, 20]
    assert progress.step == 20
    assert progress.batches == 40
    assert {entry[2] for entry in watcher.log if entry[0] == "scalars"} == {("seconds", "loss", "gradient_norm")}


def test_every_observer_is_notified_of_each_event_once() -> None:
    first, second = Watcher(), Watcher()
    run(first, observers=[first, second])
    assert second.log == [entry for entry in first.log if entry[0] != "save"]


def test_what_is_due_at_the_end_is_not_done_twice() -> None:
    watcher = Watcher(criteria={2: 9.0})
    run(watcher, Cadence(steps=8, log_every=4, preview_every=4, evaluate_every=4, checkpoint_every=4))
    assert watcher.steps("picture") == watcher.steps("evaluation") == watcher.steps("save") == [4, 8]


def _recorded(watcher: Watcher, after: int = 0) -> list[tuple[Any, ...]]:
    """Return what was recorded after the checkpoint of step `after`."""
    start = watcher.steps("save").index(after) if after else 0
    saves = [place for place, entry in enumerate(watcher.log) if entry[0] == "save"]
    log = watcher.log[saves[start] :] if after else watcher.log
    return [entry for entry in log if entry[0] in ("scalars", "picture", "evaluation")]


@pytest.mark.parametrize("steps", [16, 18, 20, 21])
@pytest.mark.parametrize("last", [-1.0, 9.0], ids=["best at the end", "best before"])
def test_from_any_checkpoint_on_nothing_is_left_out_or_repeated(steps: int, last: float) -> None:
    criteria = {-(-steps // RHYTHM.evaluate_every): last}
    whole, plan = Watcher(criteria=criteria), replace(RHYTHM, steps=steps)
    run(whole, plan)
    assert len(whole.saved) >= 4
    for saved in whole.saved:
        done = sum(step <= saved.step for step in whole.steps("evaluation"))
        rest = Watcher(criteria=criteria, evaluations=done)
        run(rest, plan, progress=replace(saved))
        assert _recorded(rest) == _recorded(whole, after=saved.step), f"from step {saved.step}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [3, 15, 20])
def test_a_signal_in_any_step_loses_nothing_that_was_due(number: signal.Signals, at: int) -> None:
    whole, first, second = Watcher(), Watcher(), Watcher()
    run(whole)
    toy, progress = Toy(), Progress()
    step = toy.step

    def interrupted(index: int, batches: Iterator[Batch]) -> Signals:
        if index + 1 == at:
            os.kill(os.getpid(), number)
        return step(index, batches)

    toy.step = interrupted  # type: ignore[method-assign]
    handlers = signal.getsignal(number)
    interrupted = None
    try:
        run(first, toy=toy, progress=progress)
    except Interrupted as caught:
        interrupted = caught
    if at == 20:
        assert interrupted is None  # the run is over anyway
    else:
        assert interrupted is not None
        assert interrupted.exit_code == 128 + number
        assert first.log[-3:] == [
            ("save", at, False),
            ("checkpoint", at, {"best": False}),
            ("interrupted", at, {"signal": number}),
        ]
    assert signal.getsignal(number) is handlers
    second.evaluations = first.evaluations
    run(second, progress=replace(first.saved[-1]))
    assert _recorded(first) + _recorded(second) == _recorded(whole)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_drawn_in_layers_depends_on_the_step_alone(ema: float) -> None:
    """The toy has dropout: weights after 20 steps are those after 11 and 9 more."""
    toy, _, average = run(Watcher(), ema=ema)
    once = copy.deepcopy(collect(toy, average))
    toy, progress, average = run(Watcher(), replace(RHYTHM, steps=11), ema=ema)
    half = Checkpoint(*copy.deepcopy(collect(toy, average)), progress.state())
    torch.rand(5)
    toy = Toy()
    average = Average(toy.model, ema) if ema else None
    restore(half, toy, average)
    fit(
        toy,
        Points(progress.batches),
        RHYTHM,
        Progress(**half.state),
        Callbacks(Watcher().save),
        average,
    )
    for before, after in zip(once, collect(toy, average), strict=True):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_best_are_kept_and_a_nan_is_never_the_best() -> None:
    watcher = Watcher(criteria={1: math.nan, 2: 3.0, 3: 4.0, 4: math.nan, 5: 2.0})
    _, progress, _ = run(watcher, Cadence(steps=10, evaluate_every=2, checkpoint_every=100))
    assert [entry[1] for entry in watcher.log if entry[0] == "save" and entry[2]] == [4, 10]
    assert [e[2]["best"] for e in watcher.log if e[0] == "evaluation"] == [False, True, False, False, True]
    assert (progress.best_step, progress.best_value) == (10, 2.0)


def test_patience_ends_a_run_and_keeps_the_best() -> None:
    """Two evaluations in a row that are no better than the best; a better one starts the count anew."""
    watcher = Watcher(criteria={1: 3.0, 2: 4.0, 3: 2.0, 4: 5.0, 5: math.nan, 6: 1.0})
    toy, progress, _ = run(watcher, Cadence(steps=100, evaluate_every=4, checkpoint_every=100, patience=2))
    assert (progress.step, progress.best_step, progress.best_value) == (20, 12, 2.0)
    assert watcher.steps("evaluation") == [4, 8, 12, 16, 20]
    assert watcher.log[-1] == ("patience", 20, {"evaluations without a better one": 2})
    assert ("save", 20, False) in watcher.log
    again = Watcher()
    run(again, Cadence(steps=100, evaluate_every=4, patience=2), toy=toy, progress=replace(progress))
    assert not again.evaluations, "what is over does not go on by itself"
    more = Watcher(criteria={1: 9.0})
    _, later, _ = run(more, Cadence(steps=100, evaluate_every=4, patience=3), toy=toy, progress=replace(progress))
    assert later.step == 24


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


class Slow(Toy):
    """A step takes ten seconds."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        self.clock.now += 10
        return super().step(step, batches)


def test_the_budget_in_minutes_ends_a_run_and_counts_what_was_spent_before(clock: Clock) -> None:
    watcher, plan = Watcher(), Cadence(steps=1000, minutes=2)
    _, progress, _ = run(watcher, plan, toy=Slow(clock))
    assert (progress.step, progress.seconds) == (12, 120.0)
    assert watcher.steps("picture") == watcher.steps("evaluation") == watcher.steps("save") == [12]
    clock.now += 5000  # nobody trained meanwhile
    _, progress, _ = run(watcher, replace(plan, minutes=3), toy=Slow(clock), progress=progress)
    assert (progress.step, progress.seconds) == (18, 180.0)


def test_a_crash_costs_five_minutes_at_most(clock: Clock) -> None:
    watcher = Watcher()
    run(watcher, Cadence(steps=100, checkpoint_every=1000), toy=Slow(clock), evaluate=None)
    assert watcher.steps("save") == [31, 62, 93, 100]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_previews_and_evaluations_see_the_published_weights(ema: float) -> None:
    watcher = Watcher()
    toy, _, average = run(watcher, Cadence(steps=16, preview_every=16, evaluate_every=16), ema=ema)
    published = average.model if average else toy.model
    assert len(watcher.seen) == 2
    for seen in watcher.seen:
        assert all(torch.equal(seen[name], tensor) for name, tensor in published.state_dict().items())
    raw = toy.model.state_dict()
    assert all(torch.equal(watcher.seen[0][name], raw[name]) for name in raw) == (ema == 0)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_looking_does_not_change_the_training(ema: float) -> None:
    often, never = Watcher(), Watcher()
    one, _, _ = run(often, Cadence(steps=12, preview_every=1, evaluate_every=1), ema=ema)
    other, _, _ = run(never, Cadence(steps=12), ema=ema, evaluate=None, preview=None, observers=[])
    assert one.modes == [True] * 12
    with_looks, without = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(tensor, without[name]) for name, tensor in with_looks.items())


def test_inference_mode_puts_a_model_back_as_it_was() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    for mode in (True, False):
        model.train(mode)
        with inference_mode(model):
            assert not model.training
            assert not model[1].training
            assert not torch.is_grad_enabled()
        assert model.training == model[1].training == mode
        assert torch.is_grad_enabled()


def test_the_average_is_the_one_by_hand() -> None:
    source = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(source, 0.9)
    expected = {name: tensor.double() for name, tensor in source.state_dict().items()}
    for step in range(1, 41):
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.copy_(torch.full_like(parameter, math.sin(step)))
            source[1].running_var.fill_(step)
            source[1].num_batches_tracked.fill_(step)
        average.update(step)
        if step % 8 == 0:
            decay = min(0.9, (1 + step) / (10 + step)) ** 8
            now = source.state_dict()
            expected = {n: decay * tensor + (1 - decay) * now[n].double() for n, tensor in expected.items()}
    mine = average.model.state_dict()
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_var", "1.running_mean"):
        torch.testing.assert_close(mine[name].double(), expected[name], rtol=1e-5, atol=1e-6)
    assert mine["1.num_batches_tracked"] == 40
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert not average.model.training


def test_the_half_life_of_the_average_follows_its_factor() -> None:
    source = nn.Linear(1, 1, bias=False)
    average = Average(source, 0.99, lambda step: {16: 0.0, 24: 0.1, 32: 1.0}[step])
    kept = {16: 0.0, 24: min(0.99**10, 25 / 34) ** 8, 32: min(0.99, 33 / 42) ** 8}  # a tenth of the half-life: d¹⁰
    for step, decay in kept.items():
        before = average.model.weight.item()
        with torch.no_grad():
            source.weight.fill_(step)
        average.update(step)
        assert average.model.weight.item() == pytest.approx(decay * before + (1 - decay) * step)


def test_the_average_keeps_no_hand_on_the_weights_that_are_trained() -> None:
    source = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    average = Average(source, 0.5)
    for tensor in average.model.state_dict().values():
        tensor.zero_()
    average.update(8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items())


def test_a_fault_is_reported_in_its_step_and_nothing_is_saved_after_it() -> None:
    watcher, toy = Watcher(), Toy()
    step = toy.step

    def faulty(index: int, batches: Iterator[Batch]) -> Signals:
        if index == 11:
            raise NonFiniteError("toy", "the gradient of toy.1.weight", "Inf")
        return step(index, batches)

    toy.step = faulty  # type: ignore[method-assign]
    with pytest.raises(NonFiniteError):
        run(watcher, toy=toy)
    fault = {"player": "toy", "tensor": "the gradient of toy.1.weight", "value": "Inf"}
    assert watcher.log[-1] == ("fault", 11, fault)
    assert watcher.steps("save") == [5, 8, 10]
