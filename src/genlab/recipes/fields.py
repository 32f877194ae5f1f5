"""Options of recipes and settings: plain values with a help text, a type and a range.

The same field is a flag on the command line, a key in a YAML file and an argument in Python. Nothing here imports
torch, so that `--help` is quick.
"""

import ast
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from genlab.core.errors import UsageError, suggestion
from genlab.core.parts import OwnOption, Part, registered
from genlab.core.text import short

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    D = TypeVar("D", bound=DataclassInstance)

OWN = "own"  # the field of a recipe with the options of own parts
REGULARIZER = "regularizer"
NO_LIMITS: Mapping[str, Any] = {}


def option(
    default: Any,  # noqa: ANN401
    help: str,  # noqa: A002 (the usual name)
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    aliases: tuple[str, ...] = (),
    part: str | None = None,
    sampling: bool = False,
) -> Any:  # noqa: ANN401
    """Return a dataclass field with a help text and, for numbers, `least` ≤ value ≤ `most` and value > `above`.

    `aliases` are other names of the option. An alias that several fields share sets all of them. The names of own
    parts of the kind `part` are values, too, besides those in the field's type. Options of `sampling` can change
    after training.
    """
    limits = {"least": least, "most": most, "above": above}
    metadata = {"help": help, **limits, "aliases": aliases, "part": part, "sampling": sampling}
    return field(default=default, metadata=metadata)


def own_options() -> Any:  # noqa: ANN401
    """Return the field that holds the options of a user's own parts, by the names that `Part.flag` gives them."""
    return field(default_factory=dict, hash=False, metadata={"aliases": ()})


@dataclass(frozen=True)
class Option:
    """An option of a recipe or of settings, with its value."""

    name: str
    value: Any
    hint: Any
    help: str
    limits: Mapping[str, Any]
    aliases: tuple[str, ...] = ()


def options_of(options: object) -> dict[str, Option]:
    """Return all options by name, with the values of `options`; those of own parts come last."""
    kind: Any = type(options)
    hints, found = _hints(kind), {}
    for f in fields(options):  # type: ignore[arg-type]
        if f.name == OWN:
            continue
        hint = with_own(hints[f.name], f.metadata["part"])
        found[f.name] = Option(
            f.name, getattr(options, f.name), hint, f.metadata["help"], f.metadata, f.metadata["aliases"]
        )
    own = getattr(options, OWN, {})
    for name, part, option in part_options(options):
        if name in found:
            raise UsageError(
                f'the option {flag(name)} of the {part.kind} "{part.name}" ({part.origin.file}) has the name of '
                "an option of genlab. Rename the option, or the part."
            )
        found[name] = Option(name, own.get(name, option.default), option.hint, option.help, {})
    return found


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of the fields of a dataclass."""
    return get_type_hints(kind)


def values_of(options: object) -> dict[str, Any]:
    """Return the values of all options by name; of own parts only those that `options` use."""
    used = chosen_parts(options)
    unused = {name for name, part, _ in part_options(options) if part not in used}
    return {name: option.value for name, option in options_of(options).items() if name not in unused}


def sampling_options(options: object) -> tuple[str, ...]:
    """Return the names of the options that can change after training; of own parts, too."""
    marked = [f for f in fields(options) if f.metadata.get("sampling")]  # type: ignore[arg-type]
    kinds = [f.metadata["part"] for f in marked]
    own = [name for name, part, _ in part_options(options) if part.kind in kinds]
    return (*(f.name for f in marked), *own)


def chosen_parts(options: object) -> list[Part]:
    """Return the own parts that `options` use."""
    chosen = []
    for f in fields(options):  # type: ignore[arg-type]
        if kind := f.metadata.get("part"):
            parts, value = registered(kind), getattr(options, f.name)
            chosen += [parts[name] for name in (value if isinstance(value, tuple) else (value,)) if name in parts]
    own = getattr(options, OWN, {})
    weights = registered(REGULARIZER).values()
    return chosen + [part for part in weights if own.get(part.flag(""))]


def refuse_unused(options: object) -> None:
    """Raise UsageError for an option of an own part that `options` do not use."""
    used = chosen_parts(options)
    for name, part, its in part_options(options):
        if part not in used and getattr(options, OWN).get(name, its.default) != its.default:
            raise UsageError(
                f'{flag(name)} has no effect: it is an option of the {part.kind} "{part.name}", which is not '
                "used. Leave it out, or use that part."
            )


def part_options(options: object) -> Iterator[tuple[str, Part, OwnOption]]:
    """Yield the options of own parts that `options` can use: the name of each, its part, and the option."""
    if not hasattr(options, OWN):
        return
    kinds = dict.fromkeys(f.metadata["part"] for f in fields(options) if f.metadata.get("part"))  # type: ignore[arg-type]
    parts = [part for kind in kinds for part in registered(kind).values()]
    forms = getattr(options, "regularized", ())
    parts += [part for part in registered(REGULARIZER).values() if part.traits["form"] in forms]
    for part in parts:
        for name, option in part.options.items():
            yield part.flag(name), part, option


def with_own(hint: Any, kind: str | None) -> Any:  # noqa: ANN401
    """Return the type of an option, with the names of own parts among its values."""
    own = registered(kind) if kind else {}
    if not own or not get_args(hint):
        return hint
    if get_origin(hint) is Literal:
        return Literal[(*get_args(hint), *own)]
    if get_origin(hint) is tuple:
        return hint
    return Union[tuple(with_own(part, kind) for part in get_args(hint))]  # noqa: UP007 (made at run time)


def names_of(module: str, table: str, *first: str) -> Any:  # noqa: ANN401 (a type that mypy cannot know)
    """Return the type whose values are the names `first` and the keys of a table, without importing its module.

    A new row of the table is a new value of the option, and `--help` does not have to import torch.

    Args:
        module: the table's module, such as "objectives.adversarial".
        table: its name; the module must define it as a dictionary literal, or a `Table` of one.
        *first: further names, before those of the table.
    """
    path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.parse(path.read_bytes()).body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == table):
            continue
        values = node.value.args if isinstance(node.value, ast.Call) else [node.value]
        for rows in values:
            if isinstance(rows, ast.Dict):
                return Literal[(*first, *(key.value for key in rows.keys if isinstance(key, ast.Constant)))]
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
    """Return an option as it is typed, `discriminator_steps` as `--discriminator-steps`; `-n` stays as it is."""
    return name if name.startswith("-") else "--" + name.replace("_", "-")


def override(options: "D", values: Mapping[str, Any]) -> "D":
    """Return `options` with the fields in `values` replaced, after checking each value.

    Raises:
        UsageError: an unknown name, or a value of the wrong type, out of range or not among the choices.
    """
    known = options_of(options)
    changes = {}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f'unknown option "{name}".{suggestion(name, known)} Choices: {", ".join(known)}.')
        changes[name] = checked(name, value, known[name].hint, known[name].limits)
    names = {f.name for f in fields(options)}
    own = {name: value for name, value in changes.items() if name not in names}
    changed = {name: value for name, value in changes.items() if name in names}
    if own:
        defaults = {name: its.default for name, _, its in part_options(options)}
        own = {**getattr(options, OWN), **own}
        changed[OWN] = {name: value for name, value in own.items() if value != defaults[name]}
    return replace(options, **changed)


def checked(name: str, value: Any, hint: Any, limits: Mapping[str, Any] = NO_LIMITS) -> Any:  # noqa: ANN401
    """Return `value`, converted to the type `hint`.

    Raises:
        UsageError: it has another type, is out of the `limits` of an option, or not among the choices.
    """
    value = _plain(name, value)
    converted = _convert(value, hint)
    if converted is _NO:
        choices = [
            name for part in (hint, *get_args(hint)) if get_origin(part) is Literal for name in get_args(part)
        ]
        hinted = suggestion(short(value), choices) if choices else ""
        own = " For one of your own give its file as --plugin." if choices and limits.get("part") else ""
        raise UsageError(f'{flag(name)} must be {_describe(hint)}, not "{short(value)}".{hinted}{own}')
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


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401
    """Return a scalar of NumPy as a number of Python, exactly, and a device as its name."""
    kind = type(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    is_device = (kind.__module__, kind.__name__) == ("torch", "device") or (name == "device" and kind is int)
    return str(value) if is_device else value


def _convert(value: Any, hint: Any) -> Any:  # noqa: ANN401
    """Return `value` as the type that `hint` names, or `_NO`."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        options = (_convert(value, part) for part in get_args(hint) if part is not type(None))
        return next((option for option in options if option is not _NO), _NO)
    if origin is Literal:
        return value if value in get_args(hint) else _NO
    if origin is tuple:
        parts = get_args(hint)
        if parts[1:] == (...,) and isinstance(value, list | tuple):
            parts = parts[:1] * len(value)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            return _NO
        converted = tuple(_convert(v, part) for v, part in zip(value, parts, strict=True))
        return _NO if _NO in converted else converted
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if value == value and abs(value) != float("inf") else _NO
    if hint is str:
        return os.fspath(value) if isinstance(value, str | os.PathLike) else _NO
    if isinstance(origin, type):
        if not isinstance(value, origin) or isinstance(value, str):
            return _NO
        items = [*value, *value.values()] if isinstance(value, Mapping) else value
        if isinstance(items, Sequence) and any(_convert(item, get_args(hint)[-1]) is _NO for item in items):
            return _NO
        return value
    return value if type(value) is hint else _NO


def _describe(hint: Any) -> str:  # noqa: ANN401
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if part is type(None) else _describe(part) for part in get_args(hint))
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(hint))
    if origin is tuple:
        return "a list" if ... in get_args(hint) else f"{len(get_args(hint))} numbers"
    return _WORDS[origin or hint]


_WORDS = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    os.PathLike: "a path",
    Sequence: "a list of texts",
    Mapping: "a mapping of texts",
}


def _range(least: float | None, most: float | None, above: float | None) -> str:
    bounds = (("at least", least), ("above", above), ("at most", most))
    return " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
