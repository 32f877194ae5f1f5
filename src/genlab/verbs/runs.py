"""`genlab runs`: the runs in a folder."""

from typing import TYPE_CHECKING

from genlab.verbs.options import RUNS, File
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.listing import RunList


@verb
def runs(root: File = RUNS) -> "RunList":
    """List the runs in a folder: preset, data, progress, state and best evaluation of each, the newest last.

    Returns:
        The runs, as a sequence.
    """
    from genlab.runs.listing import list_runs

    return list_runs(root)
