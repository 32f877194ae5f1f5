"""How fast this machine trains."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from genlab.core.errors import UsageError
from genlab.recipes.settings import DeviceName

TITLE = """# How fast it trains

A ratio is that of measurements of the same round; each figure is the median, with the least and the greatest
beside it. What is computed in which precision, and why: [performance.md](performance.md).
"""


def bench(
    *,
    only: Annotated[
        list[str] | None, Parameter(help="Presets; by default all that are measured.", consume_multiple=True)
    ] = None,
    repeats: int = 5,
    json: bool = False,
    write: Path | None = None,
    device: DeviceName = "auto",
) -> None:
    """Train models for seconds each, and say how fast that is beside the loop that tutorials teach.

    Parameters
    ----------
    repeats
        Measurements of each figure; the table has their median, least and greatest.
    json
        Print values instead of tables.
    write
        File to write the tables to as well.
    device
        Where to compute.
    """
    from dataclasses import asdict
    from json import dumps

    from genlab.bench import page, training
    from genlab.core.files import replace

    cases = [case for case in training.CASES if only is None or case.preset in only]
    unknown = sorted(set(only or ()) - {case.preset for case in training.CASES})
    if unknown or repeats < 1:
        names = ", ".join(dict.fromkeys(case.preset for case in training.CASES))
        wrong = (
            f'no measurement of "{unknown[0]}". Choices: {names}.' if unknown else "--repeats must be at least 1"
        )
        raise UsageError(wrong)
    about = page.machine()
    section = training.measure(repeats, cases, device)
    if json:
        print(dumps({"machine": about, "training": asdict(section)}, indent=1, ensure_ascii=False))
        return
    command = shlex.join(["genlab", "bench", *sys.argv[2:]])
    text = page.page(TITLE, command, about, [section])
    print(text)
    if write:
        replace(write, text.encode())
