"""The progress of a run: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from genlab.core.pictures import Picture
from genlab.core.text import escaped
from genlab.training.live import Course, event_line, losses

LINE_SECONDS = 10.0  # between plain lines


class _Console(Console):
    """A console that survives a closed pipe, at which rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True


class Terminal:
    """An observer that writes to standard error; a closed terminal does not end the run."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.console = _Console(stderr=True, highlight=False)
        self.written = -LINE_SECONDS
        self.bar: Progress | None = None
        self.task = TaskID(0)
        if self.console.is_terminal:
            rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # cuts off losses, not the time
            self.bar = Progress(
                TextColumn("{task.percentage:>3.0f}%"),
                BarColumn(bar_width=12),
                TimeRemainingColumn(),
                TextColumn("{task.description}", table_column=rest, markup=False),
                console=self.console,
                expand=True,
            )
            self.task = self.bar.add_task("starting", total=1.0)
            self.bar.start()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Show progress, speed and losses."""
        seconds = values["seconds"]
        share, rate = self.course.share(step, seconds), self.course.rate(step, seconds)
        text = f"step {step}  {rate:,.0f} images/s  {escaped(losses(values))}"
        with suppress(OSError):
            if self.bar:
                self.bar.update(self.task, completed=share, description=text)
            elif time.monotonic() - self.written >= LINE_SECONDS:
                self.written = time.monotonic()
                print(f"{share:4.0%}  {text}  {seconds:.0f} s", file=sys.stderr, flush=True)

    def status(self, text: str) -> None:
        """Show what the run does besides training; without a bar only if no line was written for a while."""
        with suppress(OSError):
            if self.bar:
                self.bar.update(self.task, description=text)
            elif time.monotonic() - self.written >= LINE_SECONDS:
                self.written = time.monotonic()
                print(text, file=sys.stderr, flush=True)

    def picture(self, step: int, picture: Picture) -> None:
        """Do nothing: previews are in the run folder."""

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Print a line about the event, except for checkpoints."""
        if kind == "checkpoint":
            return
        with suppress(OSError):
            line = f"step {step}  {escaped(event_line(kind, details))}"
            self.console.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Stop the bar where it is."""
        if self.bar:
            with suppress(OSError):
                self.bar.stop()
