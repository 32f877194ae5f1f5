"""Conditions on samples, such as a class, a source picture or a text."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.errors import UsageError, suggestion
from genlab.core.modality import Modality

Condition: TypeAlias = Mapping[str, Tensor]
"""The conditions of a batch, by name: "label" (B,), "source" (B, C, H, W), …"""

NONE: Condition = MappingProxyType({})

SOURCE = "source"  # what is translated, restored or transformed into an example
SOURCE_LABEL = "source_label"  # the class of the source
STYLE = "style"  # a picture whose style an example takes
MASK = "mask"  # 1 where a picture is missing, -1 where it is known


def fill(
    conditions: Mapping[str, Modality], given: Condition, count: int, device: torch.device | str | None = None
) -> dict[str, Tensor]:
    """Return all conditions of `count` samples on `device`: the `given` ones, and defaults for the others.

    Only labels have a default: they cycle through the classes.

    Raises:
        UsageError: a condition that the model does not take, a value that does not fit, or a missing condition
            without a default.
    """
    for name in given.keys() - conditions.keys():
        takes = f"Choices: {', '.join(conditions)}." if conditions else "It takes none."
        raise UsageError(f'this model takes no condition "{name}".{suggestion(name, conditions)} {takes}')
    filled = {}
    for name, modality in conditions.items():
        value = given[name] if name in given else modality.default(count)
        if value is None:
            raise UsageError(
                f'sampling from this model needs the condition "{name}": {modality.noun} of shape '
                f"{(count, *modality.shape)}."
            )
        if name in given and not torch.compiler.is_compiling():  # a program cannot branch on values
            modality.check(value, count, name)
        filled[name] = value.to(device)
    return filled


def condition_rows(condition: Condition, index: Tensor | slice) -> dict[str, Tensor]:
    """Return the rows at `index` of every condition."""
    return {name: value[index] for name, value in condition.items()}


def in_turn(values: Condition, rows: range) -> dict[str, Tensor]:
    """Return the conditions of `rows`, which take the values of each condition in turn."""
    index = torch.arange(rows.start, rows.stop)
    return {name: value[index % len(value)] for name, value in values.items()}


def required_conditions(conditions: Mapping[str, Modality]) -> list[str]:
    """Return the names of the conditions without a default, which must be given."""
    return [name for name, modality in conditions.items() if modality.default(1) is None]
