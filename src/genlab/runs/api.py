"""What `import genlab` offers: the same names as the command line."""

import os
from pathlib import Path
from typing import Any

from genlab.recipes.resolve import resolve
from genlab.runs import train as training
from genlab.runs.load import load
from genlab.runs.train import Result

__all__ = ["load", "resume", "train"]


def train(preset: str, *, quiet: bool = False, **options: Any) -> Result:  # noqa: ANN401 (checked by the recipe)
    """Train a preset, or what a YAML file says, and return the run.

    `genlab.train("dcgan", data="photos/", steps=5000)` is `genlab train dcgan --data photos/ --steps 5000`.

    Args:
        preset: a name that `genlab recipes` lists, or a path ending in .yaml.
        quiet: write nothing to the terminal.
        **options: as `genlab train PRESET --help` lists them, with underscores.

    Raises:
        UsageError: an unknown preset or option, or a value that it cannot take.
        DataError: the pictures cannot be used as they are.
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
        UsageError: no such run, or another option.
        CheckpointError: the checkpoint is not whole, or the data are no longer those of the run.
    """
    return training.resume(Path(run), options, root=Path(root), quiet=quiet)
