"""The same `edsr` after a sixth of the time: better than SRCNN."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import superres
from genlab.bench.page import Section

OPTIONS: Mapping[str, Any] = {"width": 32}


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train and measure it."""
    return superres.measured("edsr", OPTIONS, runs, minutes)


def section(line: Mapping[str, Any]) -> Section:
    """Return its figures."""
    return superres.section("`edsr`, trained briefly", line, superres.PUBLISHED["srcnn"])
