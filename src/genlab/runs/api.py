"""`genlab.train`, `genlab.resume` and `genlab.load`, named as on the command line."""

import os
from pathlib import Path
from typing import Any

from genlab.recipes.resolve import resolve
from genlab.runs import train as training
from genlab.runs.load import load
from genlab.runs.train import Result

__all__ = ["load", "resume", "train"]


def train(preset: str, *, quiet: bool = False, **options: Any) -> Result:  # noqa: ANN401 (checked by the recipe)
    """Train a preset, or the recipe in a YAML file, and return the run.

    `genlab.train("dcgan", data="photos/", steps=5000)` is `genlab train dcgan --data photos/ --steps 5000`.

    Args:
        preset: a name listed by `genlab recipes`, or a path ending in .yaml.
        quiet: write nothing to the terminal.
        **options: those of `genlab train PRESET --help`, with underscores.

    Raises:
        UsageError: an unknown preset or option, or a value that an option does not take.
        DataError: the data cannot be used.
        NonFiniteError: a loss or gradient was NaN or infinite.
    """
    return training.train(resolve(preset, options), quiet=quiet)


def resume(
    run: str | os.PathLike[str],
    *,
    quiet: bool = False,
    root: str | Path = "runs",
    **options: Any,  # noqa: ANN401
) -> Result:
    """Resume a run from its last checkpoint.

    `steps`, `minutes`, `patience`, `on_failure`, `device` and `precision` may be changed.

    Raises:
        UsageError: no such run, or an option that cannot be changed.
        CheckpointError: the checkpoint is damaged, or the data have changed.
    """
    return training.resume(Path(run), options, root=Path(root), quiet=quiet)
