"""`genlab rm`: remove runs, or restore them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import UsageError
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.trash import Moved


@verb
def rm(*runs: RunName, undo: bool = False, root: File = RUNS) -> "Moved":
    """Move runs into the folder .trash next to them; --undo restores them.

    Nothing is deleted. To free the space, delete .trash by hand.

    Args:
        runs: Run folders, or their names in --root; with --undo their names in its .trash.
        undo: Restore runs from .trash.

    Returns:
        Where each run was and is now.

    Raises:
        UsageError: no run is given, there is no such run, it is a link, or a process is training in it.
    """
    if not runs:
        raise UsageError("name the runs to remove or, with --undo, to restore; `genlab runs` lists all runs")

    from genlab.runs.trash import remove, restore

    return (restore if undo else remove)([os.fspath(run) for run in runs], Path(root))
