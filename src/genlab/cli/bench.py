"""`genlab bench`: how fast genlab is on this machine."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from genlab.core.errors import UsageError, suggestion
from genlab.recipes.settings import DeviceName

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


def bench(
    *parts: Annotated[PartName, Parameter(help="What to measure; by default everything.")],
    presets: Annotated[
        list[str] | None,
        Parameter(help="Models to train and sample; by default all.", consume_multiple=True),
    ] = None,
    repeats: int = 5,
    json: bool = False,
    write: Path | None = None,
    device: DeviceName = "auto",
) -> None:
    """Measure how fast genlab is here, compared with the loops of tutorials. Takes some minutes.

    Parameters
    ----------
    repeats
        Measurements per figure; the tables show median, minimum and maximum.
    json
        Print JSON instead of tables.
    write
        File to write the tables to, besides printing them.
    device
        Device to compute on.
    """
    from dataclasses import asdict
    from json import dumps

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
    if repeats < 1:
        raise UsageError(f"--repeats must be at least 1, not {repeats}")
    scope, about, sections = Scope(repeats, find_device(device), presets), page.machine(), {}
    for name in parts or PARTS:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        sections[name] = PARTS[name](scope)
    about["busy after the last measurement"] = page.busy()
    if json:
        values = {name: asdict(section) for name, section in sections.items()}
        print(dumps({"machine": about, **values}, indent=1, ensure_ascii=False))
        return
    command = shlex.join(["genlab", "bench", *sys.argv[2:]])
    text = page.page(TITLE.format(repeats=repeats), command, about, list(sections.values()))
    print(text)
    if write:
        replace(write, text.encode())
