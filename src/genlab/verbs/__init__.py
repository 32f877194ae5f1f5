"""The verbs: each is a command of the command line and a function of `import genlab`, from one signature.

A verb shows its progress and returns a result, which it does not print: the command line prints `str(result)`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

# The commands by what they are for, in the order of the command line's help. Each is a function in the module of
# its name.
JOBS: Mapping[str, Sequence[str]] = {
    "Train": ("train", "resume", "data", "recipes"),
    "Runs": ("runs", "info", "doctor", "report", "rm"),
    "Measure": ("evaluate", "compare"),
    "Generate": ("sample", "interpolate", "directions", "augment"),
    "Change pictures": (
        *("reconstruct", "denoise", "upscale", "restore", "inpaint", "translate", "stylize", "edit"),
        *("compress", "decompress"),
    ),
    "Explore": ("score", "neighbours", "cluster", "map", "probe", "encode", "decode", "project"),
    "This installation": ("checks", "bench"),
}
COMMANDS = tuple(chain.from_iterable(JOBS.values()))
VERBS = (*COMMANDS, "load")  # in Python only: it returns a model


def find(name: str) -> Callable[..., Any]:
    """Return a verb by its name, one of `VERBS`; nothing heavy is imported before it is called."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    return found
