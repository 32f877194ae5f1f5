"""A progress bar, shown only on a terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def bar(show: bool) -> "Progress":
    """Return a progress bar on stderr; it is shown only if `show` is true and stderr is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    title = TextColumn("{task.description}", markup=False)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    disabled = not (show and console.is_terminal)
    return Progress(title, *columns, console=console, transient=True, disable=disabled)
