"""The verbs: each is a command of the command line and a function of `import genlab`, from one signature.

A verb shows its progress and returns a result, which it does not print: the command line prints `str(result)`.
"""

import importlib
from collections.abc import Callable
from typing import Any

# In the order of the command line's help. Each verb is a function in the module of its name.
COMMANDS = (
    "train",
    "resume",
    "sample",
    "reconstruct",
    "encode",
    "decode",
    "map",
    "cluster",
    "neighbours",
    "probe",
    "score",
    "denoise",
    "compress",
    "decompress",
    "translate",
    "interpolate",
    "project",
    "edit",
    "stylize",
    "augment",
    "evaluate",
    "compare",
    "doctor",
    "runs",
    "rm",
    "info",
    "report",
    "data",
    "recipes",
    "checks",
    "bench",
)
VERBS = (*COMMANDS, "load")  # in Python only: it returns a model


def find(name: str) -> Callable[..., Any]:
    """Return a verb by its name, one of `VERBS`; nothing heavy is imported before it is called."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    return found
