"""`genlab train`: train a preset or a recipe."""

from typing import TYPE_CHECKING, Any

from genlab.recipes.resolve import part_kinds, resolve
from genlab.verbs.options import PresetName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.runs.result import Result


@verb
def train(
    preset: PresetName,
    *,
    quiet: bool = False,
    **options: Any,  # noqa: ANN401 (checked by the recipe)
) -> "Result":
    """Train a preset or a YAML file.

    `genlab.train("dcgan", data="photos/", steps=5000)` is `genlab train dcgan --data photos/ --steps 5000`.

    Args:
        preset: A name listed by `genlab recipes`, a path ending in .yaml, or a recipe of your own.
        quiet: Write nothing to the terminal.
        **options: Those of `genlab train PRESET --help`, with underscores. Data and parts of your own may be
            given as objects: an array, a module class, a function; `regularizers={function: weight}`.

    Returns:
        The run.

    Raises:
        UsageError: an unknown preset or option, or a value that an option does not take.
        DataError: the data cannot be used.
        NonFiniteError: a loss or gradient was NaN or infinite.
    """
    from genlab.plugins import of_recipe
    from genlab.registration import named

    of_recipe(preset)
    plan = resolve(preset, named(options, part_kinds(preset)))  # raises errors before torch is imported

    from genlab.runs import train as training

    return training.train(plan, quiet=quiet)
