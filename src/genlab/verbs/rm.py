"""`genlab rm`: remove runs, or bring them back."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.core.errors import UsageError
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.bin import Moved


@verb
def rm(*runs: RunName, undo: bool = False, root: File = RUNS) -> "Moved":
    """Move runs into the folder .bin next to them, from where --undo brings them back.

    Nothing is deleted: delete .bin by hand to free its space.

    Args:
        runs: Run folders, or their names in --root; with --undo their names in its .bin.
        undo: Bring runs back.

    Returns:
        Where each run was and is now.

    Raises:
        UsageError: no run is given, there is no such run, it is a link, or a process is training in it.
    """
    if not runs:
        raise UsageError("name the runs to remove or bring back; `genlab runs` lists those that there are")

    from genlab.runs.bin import remove, restore

    return (restore if undo else remove)([os.fspath(run) for run in runs], Path(root))
