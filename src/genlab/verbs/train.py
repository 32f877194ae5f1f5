"""`genlab train`: train a preset or a recipe."""

import os
from typing import TYPE_CHECKING, Any

from genlab.recipes.resolve import resolve
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.train import Result


@verb
def train(
    preset: str | os.PathLike[str],
    *,
    quiet: bool = False,
    **options: Any,  # noqa: ANN401 (checked by the recipe)
) -> "Result":
    """Train a preset or a YAML file.

    `genlab.train("dcgan", data="photos/", steps=5000)` is `genlab train dcgan --data photos/ --steps 5000`.

    Args:
        preset: A name listed by `genlab recipes`, or a path ending in .yaml.
        quiet: Write nothing to the terminal.
        **options: Those of `genlab train PRESET --help`, with underscores.

    Returns:
        The run.

    Raises:
        UsageError: an unknown preset or option, or a value that an option does not take.
        DataError: the data cannot be used.
        NonFiniteError: a loss or gradient was NaN or infinite.
    """
    plan = resolve(os.fspath(preset), options)  # raises errors before torch is imported

    from genlab.runs import train as training

    return training.train(plan, quiet=quiet)
