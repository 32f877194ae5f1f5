"""What the training loop calls: saving, evaluation, previews, probes, the doctor, observers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from torch import nn

from genlab.core.pictures import Picture
from genlab.diagnosis.doctor import Doctor
from genlab.training.evaluation import Evaluation
from genlab.training.probes import Probes


@dataclass
class Progress:
    """How far a run has come; saved in a checkpoint's state.json."""

    step: int = 0  # steps taken
    batches: int = 0  # global batches used
    seconds: float = 0.0  # spent training
    best_value: float | None = None  # of the criterion
    best_step: int | None = None

    def state(self) -> dict[str, Any]:
        """Return the progress as plain values."""
        return asdict(self)


class Save(Protocol):
    """Writes a checkpoint."""

    def __call__(self, progress: Progress, *, best: bool, failing: bool) -> None:
        """Save the run; `best`: as the best so far, `failing`: the doctor has found a failure."""
        ...


class Observer(Protocol):
    """Is notified of what happens in a run: the run folder, the terminal, a logger. Only process 0 has any."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Receive the signals of a step."""
        ...

    def picture(self, step: int, picture: Picture) -> None:
        """Receive a preview."""
        ...

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Receive an event: a checkpoint, an evaluation, a fault."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


@dataclass(frozen=True)
class Callbacks:
    """What the loop calls when due; all but `save` are optional."""

    save: Save
    evaluate: Callable[[nn.Module], Evaluation] | None = None
    preview: Callable[[nn.Module], Picture] | None = None
    probes: Probes | None = None
    doctor: Doctor | None = None
    stop_on_failure: bool = False  # stop the run when the doctor finds a failure
    observers: Sequence[Observer] = ()
