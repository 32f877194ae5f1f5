"""Options of recipes and settings: plain values with a help text, a type and a range.

The same field is a flag on the command line, a key in a YAML file and an argument in Python. Nothing here imports
torch, so that `--help` is quick.
"""

import ast
import os
import types
from collections.abc import Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from genlab.core.errors import UsageError, suggestion

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    D = TypeVar("D", bound=DataclassInstance)


def option(
    default: Any,  # noqa: ANN401
    help: str,  # noqa: A002 (the usual name)
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    aliases: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401
    """Return a dataclass field with a help text and, for numbers, `least` ≤ value ≤ `most` and value > `above`.

    `aliases` are other names of the option. An alias that several fields share sets all of them.
    """
    metadata = {"help": help, "least": least, "most": most, "above": above, "aliases": aliases}
    return field(default=default, metadata=metadata)


def names_of(module: str, table: str, *first: str) -> Any:  # noqa: ANN401 (a type that mypy cannot know)
    """Return the type whose values are the names `first` and the keys of a table, without importing its module.

    A new row of the table is a new value of the option, and `--help` does not have to import torch.

    Args:
        module: the table's module, such as "objectives.adversarial".
        table: its name; the module must define it as a dictionary literal.
        *first: further names, before those of the table.
    """
    path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.parse(path.read_text()).body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)):
            continue
        if isinstance(node.target, ast.Name) and node.target.id == table:
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            return Literal[(*first, *keys)]
    raise LookupError(f"{path} has no dictionary literal {table}")


def aliases(*options: object) -> dict[str, list[str]]:
    """Return the aliases of options, each with the fields that it sets."""
    found: dict[str, list[str]] = {}
    for each in options:
        for f in fields(each):  # type: ignore[arg-type]
            for alias in f.metadata["aliases"]:
                found.setdefault(alias, []).append(f.name)
    return found


def by_field(values: Mapping[str, Any], *options: object) -> dict[str, Any]:
    """Return `values` by the names of fields of `options`; a field's own name takes precedence over an alias.

    Raises:
        UsageError: an option is given both by its own name and by an alias that sets no other option.
    """
    known, named = aliases(*options), dict(values)
    for alias in known.keys() & values.keys():
        value, targets = named.pop(alias), known[alias]
        if len(targets) == 1 and targets[0] in values:
            raise UsageError(f"{flag(alias)} and {flag(targets[0])} are the same option. Give one of them.")
        for target in targets:
            named.setdefault(target, value)
    return named


def flag(name: str) -> str:
    """Return an option as it is typed, `discriminator_steps` as `--discriminator-steps`."""
    return "--" + name.replace("_", "-")


def override(options: "D", values: Mapping[str, Any]) -> "D":
    """Return `options` with the fields in `values` replaced, after checking each value.

    Raises:
        UsageError: an unknown name, or a value of the wrong type, out of range or not among the choices.
    """
    hints = get_type_hints(type(options))
    known = {f.name: f for f in fields(options)}
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f'unknown option "{name}".{suggestion(name, known)} Choices: {", ".join(known)}.')
        checked[name] = _checked(name, value, hints[name], known[name].metadata)
    return replace(options, **checked)


def _checked(name: str, value: Any, hint: Any, limits: Mapping[str, Any]) -> Any:  # noqa: ANN401
    converted = _convert(value, hint)
    if converted is _NO:
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        hinted = suggestion(str(value), choices) if choices else ""
        raise UsageError(f'{flag(name)} must be {_describe(hint)}, not "{value}".{hinted}')
    for number in converted if isinstance(converted, tuple) else (converted,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        least, most, above = limits.get("least"), limits.get("most"), limits.get("above")
        if not (
            (least is None or number >= least)
            and (most is None or number <= most)
            and (above is None or number > above)
        ):
            raise UsageError(f"{flag(name)} must be {_range(least, most, above)}, not {number}.")
    return converted


_NO = object()


def _convert(value: Any, hint: Any) -> Any:  # noqa: ANN401
    """Return `value` as the type that `hint` names, or `_NO`."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        options = (_convert(value, part) for part in get_args(hint) if part is not type(None))
        return next((option for option in options if option is not _NO), _NO)
    if origin is Literal:
        return value if value in get_args(hint) else _NO
    if origin is tuple:
        parts = get_args(hint)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            return _NO
        converted = tuple(_convert(v, part) for v, part in zip(value, parts, strict=True))
        return _NO if _NO in converted else converted
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if value == value and abs(value) != float("inf") else _NO
    if hint is str:
        return str(value) if isinstance(value, str | os.PathLike) else _NO
    return value if type(value) is hint else _NO


def _describe(hint: Any) -> str:  # noqa: ANN401
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if part is type(None) else _describe(part) for part in get_args(hint))
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(hint))
    if origin is tuple:
        return f"{len(get_args(hint))} numbers"
    return {int: "a whole number", float: "a finite number", str: "text", bool: "true or false"}[hint]


def _range(least: float | None, most: float | None, above: float | None) -> str:
    bounds = (("at least", least), ("above", above), ("at most", most))
    return " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
