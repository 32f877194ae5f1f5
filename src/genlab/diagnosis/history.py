"""The history of a run as arrays."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from genlab.core.signal_kinds import Kind
from genlab.core.signals import signal
from genlab.diagnosis.finding import Evidence

Array: TypeAlias = npt.NDArray[np.float64]
Marks: TypeAlias = npt.NDArray[np.bool_]

SMOOTH = 5  # points of the running median: one odd batch is no symptom


@dataclass(frozen=True)
class Series:
    """The values of one signal, and the steps at which it was reported."""

    steps: Array  # (N,), increasing
    values: Array  # (N,), finite
    _smoothed: dict[int, "Series"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])

    def apply(self, function: Callable[[Array], Array]) -> "Series":
        """Return the series of a function of each value."""
        return Series(self.steps, function(self.values))

    def shows(self, signal: str, expected: str) -> Evidence:
        """Return the newest value as evidence."""
        return Evidence(signal, self.last, expected)

    def smooth(self, points: int = SMOOTH) -> "Series":
        """Return the running median over the last `points` values, shorter at the beginning."""
        if points not in self._smoothed:  # cached, because many rules need the same
            first = self.values[: points - 1].tolist()
            values = np.array([median(first[:end]) for end in range(1, len(first) + 1)])
            if len(self) >= points:
                windows = np.lib.stride_tricks.sliding_window_view(self.values, points)
                values = np.concatenate([values, np.median(windows, axis=1)])
            self._smoothed[points] = Series(self.steps, values)
        return self._smoothed[points]

    def after(self, step: float) -> "Series":
        """Return the values at `step` and later."""
        kept = self.steps >= step
        return Series(self.steps[kept], self.values[kept])

    def until(self, step: float) -> "Series":
        """Return the values at `step` and before."""
        count = int(np.searchsorted(self.steps, step, side="right"))
        earlier = Series(self.steps[:count], self.values[:count])
        earlier._smoothed.update({points: its.until(step) for points, its in self._smoothed.items()})
        return earlier

    def at(self, steps: Array) -> Array:
        """Return the latest values at other steps; NaN before the first."""
        if not len(self):
            return np.full(len(steps), np.nan)
        place = np.searchsorted(self.steps, steps, side="right") - 1
        return np.where(place >= 0, self.values[np.maximum(place, 0)], np.nan)

    def true_since(self, marks: Marks, points: int) -> int | None:
        """Return the step since which all `marks` (N,) are true; None if fewer than the last `points` are."""
        if len(marks) < points or not marks[-points:].all():
            return None
        broken = np.flatnonzero(~marks)
        return int(self.steps[broken[-1] + 1 if len(broken) else 0])


EMPTY = Series(np.empty(0), np.empty(0))


class History:
    """The signals of a run, by name; values that are not finite are noted apart and not part of the series."""

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take lines that each have a `step`; later lines of the same step replace earlier values."""
        by_step: dict[float, dict[str, Any]] = {}
        for line in lines:
            by_step.setdefault(float(line["step"]), {}).update(line)
        columns: dict[str, tuple[list[float], list[float]]] = {}
        self.not_finite: dict[str, int] = {}  # the first step at which a signal was NaN or infinite
        for step in sorted(by_step):
            for name, value in by_step[step].items():
                if name == "step" or not isinstance(value, int | float) or isinstance(value, bool):
                    continue
                if not np.isfinite(value):
                    self.not_finite.setdefault(name, int(step))
                    continue
                steps, values = columns.setdefault(name, ([], []))
                steps.append(step)
                values.append(float(value))
        self._series = {n: Series(np.array(steps), np.array(values)) for n, (steps, values) in columns.items()}
        self.step = int(max(by_step, default=0))
        self.steps = np.array(sorted(by_step))  # of all lines

    def __len__(self) -> int:
        """Return the number of steps with any values."""
        return len(self.steps)

    def __contains__(self, name: str) -> bool:
        return name in self._series

    def __getitem__(self, name: str) -> Series:
        """Return a signal; an empty series for one that was never reported."""
        return self._series.get(name, EMPTY)

    def names(self, kind: Kind | None = None) -> list[str]:
        """Return the names of all signals, or of those of one kind."""
        return [name for name in self._series if kind in (None, signal(name).kind)]

    def until(self, step: int) -> "History":
        """Return the history as it was at `step`."""
        earlier = History([])
        earlier._series = {n: cut for n, s in self._series.items() if len(cut := s.until(step))}
        earlier.not_finite = {name: at for name, at in self.not_finite.items() if at <= step}
        earlier.step = min(self.step, step)
        earlier.steps = self.steps[self.steps <= step]
        return earlier
