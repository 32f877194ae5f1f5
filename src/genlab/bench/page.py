"""The results of benchmarks, as values and as a Markdown page."""

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from genlab.bench.measure import Spread


@dataclass(frozen=True)
class Row:
    """One figure, and its aim if it has one."""

    what: str
    value: Spread | float
    unit: str
    least: float | None = None
    most: float | None = None
    digits: int = 3  # that are shown

    @property
    def middle(self) -> float:
        """The median, or the value itself."""
        return self.value.median if isinstance(self.value, Spread) else self.value

    @property
    def met(self) -> bool:
        """Whether the figure meets its aim."""
        value = self.middle
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def cells(self) -> tuple[str, ...]:
        """Return the row as text: figure, median, range, unit, aim."""
        spread = f"{number(self.value.low)} – {number(self.value.high)}" if isinstance(self.value, Spread) else ""
        bounds = (("≥", self.least), ("≤", self.most))
        aims = [f"{sign} {number(bound, self.digits)}" for sign, bound in bounds if bound is not None]
        aim = f"{', '.join(aims)}: {'met' if self.met else '**missed**'}" if aims else ""
        return self.what, number(self.middle, self.digits), spread, self.unit, aim


@dataclass(frozen=True)
class Section:
    """Figures that were measured together, and how."""

    title: str
    method: str
    rows: Sequence[Row]

    def markdown(self) -> str:
        """Return the section with its table."""
        table = "\n".join(f"| {' | '.join(row.cells())} |" for row in self.rows)
        head = "| | median | min – max | unit | aim |\n|---|--:|--:|---|---|"
        return f"## {self.title}\n\n{self.method}\n\n{head}\n{table}\n"


def number(value: float, digits: int = 3) -> str:
    """Return `value` with some significant digits, or as a whole number from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.{digits}g}"


def machine() -> dict[str, str]:
    """Return what the figures depend on besides genlab."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if "model name" in line] if info.is_file() else []
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": str(os.cpu_count()),
        "torch": torch.__version__,
        "threads of torch": str(torch.get_num_threads()),
        "Python": platform.python_version(),
        "system": platform.system(),
        "busy before the first measurement": busy(),
    }


def busy() -> str:
    """Return the load of the machine: runnable processes, on average over the last minute, including this one."""
    return f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores" if hasattr(os, "getloadavg") else "unknown"


def page(title: str, command: str, about: Mapping[str, str], sections: Sequence[Section]) -> str:
    """Return a Markdown page with `title` (and its introduction), the command, the facts and the sections."""
    facts = "\n".join(f"| {name} | {value} |" for name, value in about.items())
    head = f"{title}\n```console\n{command}\n```\n\n| | |\n|---|---|\n{facts}\n"
    return "\n".join([head, *(section.markdown() for section in sections)])
