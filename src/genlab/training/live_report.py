"""Keeps the report of a run up to date while it trains."""

import time
from collections.abc import Mapping
from typing import Any

from genlab.core.pictures import Picture
from genlab.core.warnings import LOG
from genlab.training.report import write_report
from genlab.training.run_folder import RunFolder

SHARE = 0.01  # of the time of a run that its report may take
FIRST = 1.0  # seconds that it takes, until it has been measured


class LiveReport:
    """An observer that writes the report again at a preview, if a hundredth of the time since is enough for it.

    A report that fails does not stop a training.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.took = FIRST
        self.written = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def picture(self, step: int, picture: Picture) -> None:
        """Write the report, unless it would take too large a share of the time since the last one."""
        began = time.monotonic()
        if SHARE * (began - self.written) < self.took:
            return
        try:
            write_report(self.folder, training=True)
        except Exception as error:
            LOG.warning("The report could not be written at step %d: %s", step, error)
        self.written = time.monotonic()
        self.took = self.written - began

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the report is written at the end of every training."""
