"""The progress of a run in a notebook: one display that is updated in place."""

import html
import importlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genlab.core.pictures import Picture, png
from genlab.core.text import escaped
from genlab.training.live import Course, event_line, losses
from genlab.training.report import duration, image

UPDATE_SECONDS = 0.5  # least time between two updates
BYTES_PER_SECOND = 300_000  # of updates; servers of notebooks drop the output of a cell that sends 1 MB a second
_KERNEL = "ZMQInteractiveShell"  # the shell of a kernel; those of hosted notebooks are derived from it
_SILENT = ("checkpoint", "started", "resumed", "interrupted")
_ENDS = {"diagnosis": "finished", "interrupted": "interrupted"}  # how a run ends, by its event


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return any(kind.__name__ == _KERNEL for kind in type(shell).__mro__)


class Notebook:
    """An observer that shows a bar, losses, the newest evaluation, what happened and the newest preview."""

    def __init__(self, course: Course, folder: Path) -> None:
        self.course, self.folder = course, folder
        self.step, self.seconds = course.start, course.spent
        self.losses, self.evaluation, self.preview = "", "", ""
        self.lines: list[str] = []  # what happened, in order
        self.end = "stopped"  # unless it ends in another way
        self.closed = False
        self.next_update = 0.0
        display = importlib.import_module("IPython.display").display
        self.handle: Any = display(self, display_id=True)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Show progress, speed and losses."""
        self.step, self.seconds = step, values["seconds"]
        self.losses = losses(values)
        self._update()

    def status(self, text: str) -> None:
        """Show what the run does besides training, in place of the losses."""
        self.losses = text
        self._update()

    def picture(self, step: int, picture: Picture) -> None:
        """Show the preview instead of the one before."""
        self.preview = f"{image(png(picture))}<br>step {step:,}"
        self._update()

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Show the newest evaluation and the list of other events, except for checkpoints."""
        self.step = max(self.step, step)
        self.end = _ENDS.get(kind, self.end)
        if kind == "evaluation":
            self.evaluation = f"step {step:,}  {event_line(kind, details)}"
        elif kind not in _SILENT:
            self.lines.append(f"step {step:,}  {event_line(kind, details)}")
        self._update()

    def close(self) -> None:
        """Show the last state."""
        self.closed = True
        self._update(now=True)

    def _update(self, *, now: bool = False) -> None:
        """Update the display, unless it was updated just now."""
        if now or time.monotonic() >= self.next_update:
            self.handle.update(self)
            seconds = max(UPDATE_SECONDS, len(self.preview) / BYTES_PER_SECOND)
            self.next_update = time.monotonic() + seconds

    def _status(self) -> str:
        course, step, seconds = self.course, self.step, self.seconds
        left = course.seconds_left(step, seconds)
        if not self.closed:
            rest = "" if left is None else f", {duration(left)} left, {course.rate(step, seconds):,.0f} examples/s"
            return f"step {step:,} of {course.steps:,}{rest}"
        if self.end == "finished":
            return f"step {step:,} of {course.steps:,} in {duration(seconds)}"
        return f"{self.end} at step {step:,}; resume with genlab.resume({str(self.folder)!r})"

    def _texts(self) -> Iterator[str]:
        """Yield what is shown below the bar."""
        yield from filter(None, (self._status(), self.losses, self.evaluation))
        yield from self.lines

    def _repr_html_(self) -> str:
        share = self.course.share(self.step, self.seconds)
        bar = f'<progress style="width: 100%" max="1" value="{share:.4f}"></progress>'
        lines = "".join(f"<div>{html.escape(escaped(text))}</div>" for text in self._texts())
        return f"<div>{bar}{lines}{self.preview}</div>"

    def __repr__(self) -> str:
        return "\n".join(self._texts())
