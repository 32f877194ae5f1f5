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
from genlab.core.signals import LOSS, signal

LINE_SECONDS = 10.0  # between plain lines


class _Console(Console):
    """A console that survives a closed pipe, at which rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True


class Terminal:
    """An observer that writes to standard error; a closed terminal does not end the run."""

    def __init__(self, steps: int, minutes: float | None, batch: int, start: int, spent: float) -> None:
        self.steps, self.minutes, self.batch = steps, minutes, batch
        self.start, self.spent = start, spent
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
                TextColumn("{task.description}", table_column=rest),
                console=self.console,
                expand=True,
            )
            self.task = self.bar.add_task("starting", total=1.0)
            self.bar.start()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Show progress, speed and losses."""
        seconds = values["seconds"]
        rate = (step - self.start) * self.batch / max(seconds - self.spent, 1e-9)
        losses = "  ".join(f"{name} {value:.3g}" for name, value in values.items() if signal(name).kind == LOSS)
        text = f"step {step}  {rate:,.0f} images/s  {losses}"
        share = max(step / self.steps, seconds / (60 * self.minutes) if self.minutes else 0.0)
        with suppress(OSError):
            if self.bar:
                self.bar.update(self.task, completed=min(share, 1.0), description=text)
            elif time.monotonic() - self.written >= LINE_SECONDS:
                self.written = time.monotonic()
                print(f"{share:4.0%}  {text}  {seconds:.0f} s", file=sys.stderr, flush=True)

    def picture(self, step: int, picture: Picture) -> None:
        """Do nothing: previews are in the run folder."""

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Print a line about the event, except for checkpoints."""
        if kind == "checkpoint":
            return
        shown = {name: value for name, value in details.items() if name != "protocol"}
        words = "  ".join(f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in shown.items())
        if kind == "finding":
            kind, words = details["severity"], details["line"]
        elif kind == "diagnosis":
            there = ", ".join(details["findings"])
            words = f"{there}; see `genlab doctor`" if there else "nothing wrong in its signals"
        with suppress(OSError):
            self.console.print(f"step {step}  {kind}: {words}", markup=False, soft_wrap=True)

    def close(self) -> None:
        """Stop the bar where it is."""
        if self.bar:
            with suppress(OSError):
                self.bar.stop()
