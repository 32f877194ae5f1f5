"""The options that weights were trained with, which are saved with them: so a change of recipe.yaml is noticed."""

import json
from collections.abc import Mapping
from typing import Any

from genlab.core.text import plain
from genlab.recipes.fields import flag, values_of
from genlab.recipes.resolve import Plan

MAY_CHANGE = ("steps", "schedule_steps")  # when a run is resumed


def trained_with(plan: Plan) -> dict[str, Any]:
    """Return the options of a plan that its weights depend on, as JSON gives them back."""
    values = {**values_of(plan.recipe), "seed": plan.settings.seed}
    kept: dict[str, Any] = json.loads(json.dumps({n: v for n, v in values.items() if n not in MAY_CHANGE}))
    return kept


def changes(plan: Plan, about: Mapping[str, Any]) -> str:
    """Return how a plan differs from what weights were trained with, `about` which their file says so; "" if not.

    Weights of an older genlab say nothing about it.
    """
    before, now = about.get("recipe"), trained_with(plan)
    if not isinstance(before, dict):
        return ""
    differ = [name for name, value in now.items() if name in before and before[name] != value]
    return ", ".join(f"{flag(name)} is {plain(now[name])} and was {plain(before[name])}" for name in differ)
