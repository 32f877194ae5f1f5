"""`genlab report`: the report of a run, written again."""

import os
from pathlib import Path

from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.verb import verb


@verb
def report(run: RunName = "latest", *, root: File = RUNS) -> Path:
    """Write results.csv, results.png and report.html of a run again, even while it trains.

    Returns:
        The path of report.html.

    Raises:
        UsageError: there is no such run.
    """
    from genlab.training.report import write_report
    from genlab.training.run_folder import find

    folder = find(os.fspath(run), Path(root))
    write_report(folder)
    return folder.path / "report.html"
