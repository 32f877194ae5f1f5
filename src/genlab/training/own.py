"""A user's own callbacks: functions or objects that are notified of what happens in a run."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from genlab.core.errors import UsageError, suggestion
from genlab.core.parts import Part, Table, calling
from genlab.core.pictures import Picture
from genlab.training.callbacks import Observer

METHODS = ("begin", "scalars", "picture", "event", "close")


class OwnCallback:
    """An observer that passes on what a user's callback has a method for.

    Args:
        callback: an object with some of `METHODS`. `begin(model, folder)` is called at the start of a run and of
            each phase, the others as in `Observer`.
        part: of the user.
    """

    def __init__(self, callback: object, part: Part) -> None:
        self.callback, self.part = callback, part

    def begin(self, model: nn.Module, folder: Path) -> None:
        """Pass on the model that is trained, and the run folder."""
        self._pass_on("begin", model, folder)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Pass on the signals of a step."""
        self._pass_on("scalars", step, values)

    def picture(self, step: int, picture: Picture) -> None:
        """Pass on a preview."""
        self._pass_on("picture", step, picture)

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Pass on an event."""
        self._pass_on("event", step, kind, details)

    def close(self) -> None:
        """Pass on the end of the run."""
        self._pass_on("close")

    def _pass_on(self, method: str, *given: object) -> None:
        function = getattr(self.callback, method, None)
        if function:
            with calling(self.part):
                function(*given)


class _OfFunction:
    """A callback whose only method is a function of a step and its signals."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.scalars = function


def own_callback(part: Part, own: Mapping[str, Any]) -> Callable[[], OwnCallback]:
    """Return a function that makes the observer of an own callback, a new one for each run.

    Raises:
        UsageError: it is neither a function (step, values) nor has one of `METHODS`.
    """
    value = part.value
    if inspect.isclass(value) and any(hasattr(value, method) for method in METHODS):
        return lambda: OwnCallback(part.bound(own)(), part)
    if inspect.isroutine(value):
        return lambda: OwnCallback(_OfFunction(part.bound(own)), part)
    if any(hasattr(value, method) for method in METHODS):
        return lambda: OwnCallback(value, part)
    raise UsageError(
        f'the callback "{part.name}" must be a function (step, values), or have one of the methods '
        f"{', '.join(METHODS)}; {type(value).__name__} has none."
    )


CALLBACKS: Table[Callable[[], OwnCallback]] = Table("callback", {}, own_callback)


def require(names: Sequence[str]) -> None:
    """Check that the own callbacks of a run are registered.

    Raises:
        UsageError: one is not.
    """
    for name in names:
        if name not in CALLBACKS:
            raise UsageError(
                f'no callback "{name}".{suggestion(name, CALLBACKS)} Choices: {", ".join(CALLBACKS) or "none"}. '
                "Load the file that registers it: --plugin FILE."
            )


def observers(names: Sequence[str], own: Mapping[str, Any]) -> list[Observer]:
    """Return the observers of a run's own callbacks."""
    return [CALLBACKS.bound(name, own)() for name in names]
