"""`genlab recipes`: the presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from genlab.core.errors import UsageError, suggestion
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe
from genlab.recipes.summaries import SUMMARIES
from genlab.verbs.verb import verb


@dataclass(frozen=True)
class Presets:
    """Presets by name."""

    recipes: Mapping[str, Recipe]

    def values(self) -> list[dict[str, Any]]:
        """Return family and summary of each as plain values for JSON."""
        return [
            {"name": name, "family": recipe.family, "summary": _summary(name)}
            for name, recipe in self.recipes.items()
        ]

    def __str__(self) -> str:
        return "\n".join(f"{row['name']:<21} {row['family']:<12} {row['summary']}" for row in self.values())


@verb
def recipes(pattern: str = "*") -> Presets:
    """List the presets, with the paper of each.

    Args:
        pattern: Part of a name, or a pattern such as '*vae'.

    Returns:
        The recipes of the presets, by name.

    Raises:
        UsageError: no preset matches.
    """
    found = {n: recipe for n, recipe in PRESETS.items() if fnmatch(n, pattern) or pattern in n}
    if not found:
        raise UsageError(
            f'no preset matches "{pattern}".{suggestion(pattern, PRESETS)} Choices: {", ".join(PRESETS)}.'
        )
    return Presets(found)


def _summary(name: str) -> str:
    return SUMMARIES[name].partition("\n")[0]
