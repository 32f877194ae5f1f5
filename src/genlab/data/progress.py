"""How far a long task is: a bar on a terminal, a line from time to time elsewhere."""

import time
from typing import TYPE_CHECKING

from genlab.core.warnings import LOG

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS = 10  # between two lines


def bar(show: bool) -> "Progress":
    """Return a progress bar on stderr, if `show` is true and stderr is a terminal.

    If it is none, a line is logged every ten seconds.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    class Lines(Progress):
        logged = time.monotonic()

        def update(self, task_id: TaskID, **changes: object) -> None:
            super().update(task_id, **changes)  # type: ignore[arg-type]
            self.log_if_due(task_id)

        def advance(self, task_id: TaskID, advance: float = 1) -> None:
            super().advance(task_id, advance)
            self.log_if_due(task_id)

        def log_if_due(self, task_id: TaskID) -> None:
            if time.monotonic() - self.logged >= SECONDS:
                self.logged = time.monotonic()
                task = next(task for task in self.tasks if task.id == task_id)
                total = f" of {task.total:,.0f}" if task.total else ""
                LOG.info("%s: %s%s", task.description, f"{task.completed:,.0f}", total)

    console = Console(stderr=True)
    title = TextColumn("{task.description}", markup=False)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    if show and not console.is_terminal:
        return Lines(disable=True)
    return Progress(title, *columns, console=console, transient=True, disable=not show)
