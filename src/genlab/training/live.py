"""What a terminal and a notebook both say of a run that trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genlab.core.signal_kinds import LOSS
from genlab.core.signals import signal
from genlab.core.text import plain
from genlab.diagnosis.finding import span


@dataclass(frozen=True)
class Course:
    """How long a run is to train, and where this training started."""

    steps: int
    minutes: float | None
    batch: int  # examples of a step
    start: int = 0  # the step at which this training started
    spent: float = 0.0  # seconds of training before

    def share(self, step: int, seconds: float) -> float:
        """Return the completed part of the run: the larger of the parts of its steps and of its minutes."""
        return min(1.0, max(step / self.steps, seconds / (60 * self.minutes) if self.minutes else 0.0))

    def rate(self, step: int, seconds: float) -> float:
        """Return the examples per second of this training."""
        return (step - self.start) * self.batch / max(seconds - self.spent, 1e-9)

    def seconds_left(self, step: int, seconds: float) -> float | None:
        """Return the seconds that the rest takes at the speed so far; None before the first step."""
        share = self.share(step, seconds)
        done = share - self.share(self.start, self.spent)
        return (1 - share) * (seconds - self.spent) / done if done > 0 else None


def losses(values: Mapping[str, float]) -> str:
    """Return the losses of a step as text."""
    return "  ".join(f"{name} {value:.3g}" for name, value in values.items() if signal(name).kind == LOSS)


def event_line(kind: str, details: Mapping[str, Any]) -> str:
    """Return an event as text."""
    if kind == "finding":
        return f"{details['severity']}: {details['line']}"
    if kind == "diagnosis":
        over = details.get("past", ())
        past = ", ".join(f"{each['rule']} {span(each['since'], each['until'])}" for each in over)
        now = ", ".join(details["findings"]) or f"nothing wrong{' now' * bool(past)} in its signals"
        see = "; see `genlab doctor`" if past or details["findings"] else ""
        return f"diagnosis: {now}{f'; resolved: {past}' * bool(past)}{see}"
    if kind == "note":
        return f"note: {'; '.join(f'{name}: {plain(text)}' for name, text in details.items())}"
    hidden = {"protocol", *(["best"] if kind == "evaluation" else [])}
    shown = {name: value for name, value in details.items() if name not in hidden}
    words = "  ".join(f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {plain(v)}" for n, v in shown.items())
    saved = kind == "evaluation" and details.get("best")
    return f"{kind}: {words}{'  saved as best' * bool(saved)}"
