"""Which checkpoint of a run is used: the better of best and last, by their evaluations. Never imports torch.

Only evaluations every `--evaluate-every` steps decide what is saved as best, so that a resumed run has the same
best checkpoint as an uninterrupted one. The evaluation at the end of a run counts here, when a checkpoint is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

from genlab.core.errors import CheckpointError, GenlabError, UsageError
from genlab.recipes.settings import CheckpointName
from genlab.training import checkpoint
from genlab.training.criterion import recorded_criterion
from genlab.training.run_folder import RunFolder

Event: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """A checkpoint of a run, and what is known of it."""

    name: CheckpointName
    step: int
    last: int | None  # step of the checkpoint last
    evaluation: Event | None = None  # the event of its evaluation
    other: str = ""  # what is known of the other checkpoint

    def __str__(self) -> str:
        step = f"step {self.step:,}" + (f" of {self.last:,}" if self.last not in (None, self.step) else "")
        figure = (
            ": {} {:.4g}".format(*recorded_criterion(self.evaluation)) if self.evaluation else ", not evaluated"
        )
        return f"checkpoint {self.name}, {step}{figure}" + (f" ({self.other})" if self.other else "")


def choose(folder: RunFolder, which: CheckpointName | None = None) -> Choice:
    """Return the checkpoint `which` of a run; by default the better of best and last.

    Best is taken unless last is better by the same criterion, measured in the same way.

    Raises:
        UsageError: `which` is no name of a checkpoint.
        CheckpointError: there is no such checkpoint, or its state is damaged.
    """
    if which not in (None, *get_args(CheckpointName)):
        raise UsageError(f'no checkpoint "{which}". Choices: {", ".join(get_args(CheckpointName))}.')
    if which == "best" and not checkpoint.exists(folder.best) and checkpoint.exists(folder.last):
        raise CheckpointError(
            f"{folder.path} has no best checkpoint: only evaluations every --evaluate-every steps can be best, "
            "and the run has had none. Use --checkpoint last."
        )
    needed: CheckpointName = which or ("best" if checkpoint.exists(folder.best) else "last")
    found = {needed: checkpoint.load_state(_place(folder, needed))}
    best, last = (_saved(folder, name, found.get(name)) for name in get_args(CheckpointName))
    name: CheckpointName = which or ("last" if best is None or _better(last, best) else "best")
    mine, other = (best, last) if name == "best" else (last, best)
    assert mine
    return Choice(
        name, mine.step, last.step if last else None, mine.evaluation, _remark(folder, name, mine, other)
    )


def best_evaluation(folder: RunFolder) -> Event | None:
    """Return the evaluation of the checkpoint that is used by default; None before the first that counts.

    It is found in the events alone if a checkpoint is missing or damaged.
    """
    try:
        if event := choose(folder).evaluation:
            return event
    except CheckpointError:
        pass
    return next((e for e in folder.newest("events") if e.get("event") == "evaluation" and e.get("best")), None)


@dataclass(frozen=True)
class _Saved:
    """A checkpoint with its evaluation, if it has one."""

    step: int
    evaluation: Event | None


def _place(folder: RunFolder, name: CheckpointName) -> Path:
    return folder.best if name == "best" else folder.last


def _saved(folder: RunFolder, name: CheckpointName, state: Event | None) -> _Saved | None:
    """Return what is known of a checkpoint; None if it cannot be read."""
    try:
        state = state or checkpoint.load_state(_place(folder, name))
    except CheckpointError:
        return None
    step = int(state["step"])
    evaluation = _evaluation(folder, step)
    if name == "best" and evaluation and recorded_criterion(evaluation)[1] != state.get("best_value"):
        evaluation = None  # of another model at this step: the run was treated, and its best checkpoint kept
    return _Saved(step, evaluation)


def _evaluation(folder: RunFolder, step: int) -> Event | None:
    """Return the newest evaluation at `step`."""
    try:
        for event in folder.newest("events"):
            if event["step"] < step:
                break
            if event["step"] == step and event.get("event") == "evaluation":
                return event if isinstance(recorded_criterion(event)[1], int | float) else None
    except (GenlabError, KeyError):  # a damaged line: what is in doubt decides nothing
        pass
    return None


def _better(last: _Saved | None, best: _Saved) -> bool:
    if not (last and last.evaluation and best.evaluation) or _difference(best.evaluation, last.evaluation):
        return False
    return recorded_criterion(last.evaluation)[1] < recorded_criterion(best.evaluation)[1]  # NaN never is


def _remark(folder: RunFolder, name: CheckpointName, mine: _Saved, other: _Saved | None) -> str:
    """Return what is known of the other checkpoint."""
    its: CheckpointName = "last" if name == "best" else "best"
    if other is None:
        return f"{its} is damaged" if checkpoint.exists(_place(folder, its)) else ""
    if other.step == mine.step:
        return ""
    if not other.evaluation:
        return f"{its}, step {other.step:,}, was not evaluated"
    if not mine.evaluation:
        return ""
    if different := _difference(mine.evaluation, other.evaluation):
        return f"{its}, step {other.step:,}, was measured differently: {different}"
    return f"{its}, step {other.step:,}: {recorded_criterion(other.evaluation)[1]:.4g}"


def _difference(one: Event, two: Event) -> str:
    """Return how the criterion of the second evaluation differs, in words; "" if it was measured alike."""
    first, second = _protocol(one), _protocol(two)
    names = (name for name in {**first, **second} if first.get(name) != second.get(name))
    return ", ".join(f"{name} {second.get(name, 'none')} instead of {first.get(name, 'none')}" for name in names)


def _protocol(event: Event) -> dict[str, Any]:
    """Return all that the value of the criterion depends on; only a distance of samples has a protocol."""
    name, _ = recorded_criterion(event)
    protocol = event.get("protocol") if name.startswith("fd[") else {}
    return {"criterion": name, "images": event.get("images"), **(protocol or {})}
