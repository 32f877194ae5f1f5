"""`edsr` of 8 blocks of 32 channels, ×4 on Set5."""

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
    return superres.section("`edsr`", line, 31.2)
