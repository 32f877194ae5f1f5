"""How fast this machine is with genlab."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from genlab.core.errors import UsageError
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

Alternatives are measured in turns, and a ratio is that of measurements of the same round. Each figure is the
median of {repeats} repeats, or of as many as are worth the time, with the least and the greatest beside it; what
several repeats cannot say (a size, a count) stands alone. What is computed in which precision, and why:
[performance.md](performance.md).
"""


def bench(
    *parts: Annotated[PartName, Parameter(help="What to measure; by default everything.")],
    presets: Annotated[
        list[str] | None,
        Parameter(help="Of the models that are trained and sampled; by default all.", consume_multiple=True),
    ] = None,
    repeats: int = 5,
    json: bool = False,
    write: Path | None = None,
    device: DeviceName = "auto",
) -> None:
    """Say how fast genlab is here, beside the loops that tutorials teach: some minutes of work.

    Parameters
    ----------
    repeats
        Measurements of each figure; the tables have their median, least and greatest.
    json
        Print values instead of tables.
    write
        File to write the tables to as well.
    device
        Where to compute.
    """
    from dataclasses import asdict
    from json import dumps

    from genlab.bench import page
    from genlab.bench.cases import CASES
    from genlab.bench.measure import Scope
    from genlab.bench.parts import PARTS
    from genlab.core.device import find
    from genlab.core.files import replace

    known = dict.fromkeys(case.preset for case in CASES)
    if unknown := [name for name in presets or () if name not in known]:
        raise UsageError(f'no measurement of "{unknown[0]}". Choices: {", ".join(known)}.')
    if repeats < 1:
        raise UsageError("--repeats must be at least 1")
    scope, about, sections = Scope(repeats, find(device), presets), page.machine(), {}
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
