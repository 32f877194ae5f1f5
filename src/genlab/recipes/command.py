"""The command that trains a run again, and the options in which it differs from its preset."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.text import typed
from genlab.recipes.fields import OWN, flag
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import Plan, from_values, part_records
from genlab.recipes.settings import Settings


def train_command(values: Mapping[str, Any], folder: Path) -> str:
    """Return a command for any folder that trains a run again, with the options that differ from its preset.

    If a value cannot be typed as an option, or a part is missing, the command reads the run's recipe.yaml; so it
    does for options that this version of genlab does not know.

    Args:
        values: the content of recipe.yaml.
        folder: of the run.
    """
    recipe = folder.resolve() / "recipe.yaml"
    try:
        files = dict.fromkeys(record["file"] for record in part_records(values, str(recipe)))
        plan = from_values(values, str(recipe))
        options = options_of_command(plan, recipe.parents[1])
    except UsageError:
        options, files = None, {}
    there = [str(Path(file).resolve()) for file in files if Path(file).exists()]
    plugins = [word for file in there for word in ("--plugin", file)]
    if options is None or len(there) < len(files):
        return typed("genlab", "train", recipe, *plugins)
    return typed("genlab", "train", plan.preset, *options, *plugins)


def options_of_command(plan: Plan, root: Path) -> list[str] | None:
    """Return the options in which a plan differs from its preset, as arguments of `genlab train`.

    The result is None if they cannot be typed. A relative folder of runs becomes `root`.
    """
    words: list[str] = []
    for name, value in differences(plan).items():
        if value is None or (isinstance(value, tuple) and not value):
            return None
        words += _words(name, str(root) if name == "root" and not Path(value).is_absolute() else value)
    return words


def differences(plan: Plan) -> dict[str, Any]:
    """Return the options of a plan that differ from those of its preset, by name; own options come last."""
    found: dict[str, Any] = {}
    for mine, usual in ((plan.recipe, PRESETS[plan.preset]), (plan.settings, Settings())):
        names = [f.name for f in fields(mine) if f.name != OWN]
        found |= {n: getattr(mine, n) for n in names if getattr(mine, n) != getattr(usual, n)}
        found |= mine.own
    return found


def _words(name: str, value: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, bool):
        yield flag(name) if value else flag(f"no_{name}")
    elif isinstance(value, tuple) and value and isinstance(value[0], str):
        yield from (word for each in value for word in _words(name, each))
    elif isinstance(value, tuple):
        yield from (flag(name), *map(_word, value))
    elif _word(value).startswith("-"):
        yield f"{flag(name)}={_word(value)}"
    else:
        yield from (flag(name), _word(value))


def _word(value: object) -> str:
    """Return a value as it is typed: 2.0 as 2."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
