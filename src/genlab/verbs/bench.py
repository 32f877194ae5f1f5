"""`genlab bench`: how fast genlab is on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genlab.core.errors import UsageError, suggestion
from genlab.core.text import typed
from genlab.core.warnings import LOG
from genlab.recipes.settings import DeviceName
from genlab.verbs.options import File
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.bench.page import Section

PartName = Literal[
    "training",
    "memory",
    "sampling",
    "scaling",
    "measuring",
    "preparation",
    "loading",
    "loop",
    "events",
    "start-up",
]
TITLE = """# How fast it is

Alternatives are measured in turns, and a ratio compares measurements of the same round. Each figure is the
median of {repeats} repeats, or of fewer where they take long, with minimum and maximum; sizes and counts are
measured once. What is computed in which precision, and why:
[performance.md](performance.md).
"""


@dataclass(frozen=True)
class Speed:
    """Measurements by part, and what they depend on."""

    sections: Mapping[str, "Section"]
    machine: Mapping[str, str]
    repeats: int
    command: str

    def values(self) -> dict[str, Any]:
        """Return them as plain values for JSON."""
        return {"machine": self.machine, **{name: asdict(each) for name, each in self.sections.items()}}

    def __str__(self) -> str:
        from genlab.bench.page import page

        title = TITLE.format(repeats=self.repeats)
        return page(title, self.command, self.machine, list(self.sections.values()))

    def _repr_markdown_(self) -> str:
        return str(self)


@verb
def bench(
    *parts: PartName,
    presets: Sequence[str] | None = None,
    repeats: int = 5,
    write: File | None = None,
    device: DeviceName = "auto",
) -> Speed:
    """Measure how fast genlab is here, compared with the loops of tutorials. Takes some minutes.

    Args:
        parts: What to measure; by default everything.
        presets: Models to train and sample; by default all.
        repeats: Measurements per figure; the tables show median, minimum and maximum.
        write: File to write the tables to, besides printing them.
        device: Device to compute on.

    Returns:
        The measurements, by part.

    Raises:
        UsageError: there is no such part or preset.
    """
    if repeats < 1:
        raise UsageError(f"--repeats must be at least 1, not {repeats}")

    from genlab.bench import page
    from genlab.bench.cases import CASES
    from genlab.bench.measure import Scope
    from genlab.bench.parts import PARTS
    from genlab.core.device import find_device
    from genlab.core.files import replace

    known = dict.fromkeys(case.preset for case in CASES)
    if unknown := [name for name in presets or () if name not in known]:
        raise UsageError(
            f'no measurement of preset "{unknown[0]}".{suggestion(unknown[0], known)} Choices: {", ".join(known)}.'
        )
    scope = Scope(repeats, find_device(device), None if presets is None else list(presets))
    about, sections = page.machine(), {}
    for name in parts or PARTS:
        LOG.info("measuring %s", name)
        sections[name] = PARTS[name](scope)
    about["busy after the last measurement"] = page.busy()
    command = _command(parts, presets or (), {"repeats": repeats, "write": write, "device": device})
    speed = Speed(sections, about, repeats, command)
    if write:
        replace(Path(write), str(speed).encode())
    return speed


def _command(parts: Sequence[str], presets: Sequence[str], options: Mapping[str, object]) -> str:
    """Return the command that measures the same."""
    default = {"repeats": 5, "write": None, "device": "auto"}
    given = [(f"--{name}", str(value)) for name, value in options.items() if value != default[name]]
    named = ["--presets", *presets] if presets else []
    return typed("genlab", "bench", *parts, *named, *(word for pair in given for word in pair))
