"""`fsrcnn` ×4 on Set5."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import superres
from genlab.bench.page import Section

OPTIONS: Mapping[str, Any] = {}


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train and measure it."""
    return superres.measured("fsrcnn", OPTIONS, runs, minutes)


def section(line: Mapping[str, Any]) -> Section:
    """Return its figures."""
    return superres.section("`fsrcnn`", line, 30.5)
