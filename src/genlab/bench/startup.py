"""The time of `genlab --help`."""

import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from genlab.bench.measure import Scope, Spread, interleaved, ratios, seconds
from genlab.bench.page import Row, Section

HELP = {"genlab --help": ["--help"], "genlab train dcgan --help": ["train", "dcgan", "--help"]}
LIMIT = 0.5
_LISTED = "import sys; from genlab.cli.main import run; run({tokens}); sys.exit('torch' in sys.modules)"


def measure(scope: Scope) -> Section:
    """Compare the time of the help with an empty Python program and the import of torch."""
    genlab = str(Path(sysconfig.get_path("scripts")) / "genlab")
    commands = {name: [genlab, *tokens] for name, tokens in HELP.items()}
    commands |= {
        "python -c pass": [sys.executable, "-c", "pass"],
        'python -c "import torch"': [sys.executable, "-c", "import torch"],
    }
    timers: dict[str, Callable[[], float]] = {
        name: partial(seconds, partial(_run, command)) for name, command in commands.items()
    }
    found = interleaved(timers, scope.repeats)
    rows = [
        Row(f"`{name}`", Spread.of(values), "s", most=LIMIT if name in HELP else None)
        for name, values in found.items()
    ]
    slowest = list(HELP)[-1]
    others = list(commands)[len(HELP) :]
    rows += [Row(f"`{slowest}` to `{other}`", ratios(found[slowest], found[other]), "times") for other in others]
    loaded = sum(_loads_torch(tokens) for tokens in HELP.values())
    rows.append(Row("of these two, commands that import torch", loaded, "commands", most=0))
    method = "Wall time of a whole process without terminal output, with a warm file cache."
    return Section("Start-up", method, rows)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _loads_torch(tokens: Sequence[str]) -> int:
    code = _LISTED.format(tokens=list(tokens))
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode
