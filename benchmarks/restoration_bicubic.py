"""The protocol: bicubic interpolation of Set5 ×4, as published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.bench.page import Row, Section
from superres import DIGITS, PUBLISHED, bicubic


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Measure it."""
    return bicubic(runs)


def section(line: Mapping[str, Any]) -> Section:
    """Return its measures; the aim is 28.43 ± 0.01."""
    rows = [Row("psnr_y", line["psnr_y"], "dB", 28.42, 28.44, DIGITS)]
    rows += [Row(name, line[name], unit, digits=DIGITS) for name, unit in (("ssim_y", ""), ("psnr_rgb", "dB"))]
    return Section("Bicubic interpolation of Set5", f"Published: {PUBLISHED['bicubic']} dB of the luma.", rows)
