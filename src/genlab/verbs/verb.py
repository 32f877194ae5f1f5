"""What makes a function a verb: it checks its arguments, and its signature and help are complete.

The command line (`cli/command.py`) and Python read the same signature and the same help.
"""

import inspect
import os
import re
import textwrap
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial, wraps
from inspect import Parameter, Signature
from typing import Any, ParamSpec, TypeVar

from genlab.core.errors import UsageError, suggestion
from genlab.core.text import short
from genlab.recipes.fields import checked
from genlab.verbs.options import HELP, OBJECTS, PARTS, SHARED, sampling_options

P = ParamSpec("P")
R = TypeVar("R")


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function with the same parameters that checks its arguments before it runs.

    Keywords `**sampling` become the options of sampling of all presets in the signature, without a check;
    `**_options`, which the function itself refuses, are left out of it. The help of parameters that several
    verbs share is added to the docstring.

    The function raises UsageError for an unknown keyword, a missing argument, or a value of the wrong type.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        full, packed = _complete(function)
        given = _bound(function.__name__, full, packed, args, kwargs)
        for name in packed:
            if given.arguments.get(name) is None:
                given.arguments.pop(name, None)
        return function(*given.args, **given.kwargs)

    call.__signature__ = shown = signature_of(call)  # type: ignore[attr-defined]
    call.__doc__ = _documented(function.__doc__ or "", list(shown.parameters))
    return call


def signature_of(function: Callable[..., Any]) -> Signature:
    """Return the signature of a verb as it is now: a user's own samplers add options of sampling."""
    full, _ = _complete(inspect.unwrap(function))
    return full.replace(parameters=[p for p in full.parameters.values() if not p.name.startswith("_")])


def summary(function: Callable[..., Any]) -> str:
    """Return the docstring of a verb without its sections."""
    return _sections(inspect.getdoc(function) or "")[0]


def helps(function: Callable[..., Any]) -> dict[str, str]:
    """Return the help of each parameter of a verb, from its docstring and from the options of sampling."""
    _, packed = _complete(inspect.unwrap(function))
    described = _described(_sections(inspect.getdoc(function) or "")[1])
    return described | {name: sampling_options()[name].help for name in packed if name not in described}


def _complete(function: Callable[..., Any]) -> tuple[Signature, Mapping[str, Any]]:
    """Return the signature of a function with the options of sampling, and these by name."""
    plain = inspect.signature(function)
    packed = _packed(plain)
    return plain.replace(parameters=_unpacked(plain, packed)), packed


def _packed(signature: Signature) -> Mapping[str, Any]:
    """Return the names and types of the keywords that `**sampling` stands for."""
    if "sampling" not in signature.parameters:
        return {}
    return {name: option.hint for name, option in sampling_options().items()}


def _unpacked(signature: Signature, packed: Mapping[str, Any]) -> Sequence[Parameter]:
    """Return the parameters with the packed ones before those that all verbs share."""
    parameters = list(signature.parameters.values())
    if not packed:
        return parameters
    parameters.pop()
    shared = (place for place, parameter in enumerate(parameters) if parameter.name in SHARED)
    place = next(shared, len(parameters))
    options = [Parameter(n, Parameter.KEYWORD_ONLY, default=None, annotation=kind) for n, kind in packed.items()]
    return [*parameters[:place], *options, *parameters[place:]]


def _bound(
    name: str, signature: Signature, packed: Container[str], args: Sequence[Any], options: Mapping[str, Any]
) -> inspect.BoundArguments:
    """Return the arguments by parameter, checked; a run's recipe checks those in `packed`."""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if Parameter.VAR_KEYWORD not in kinds:
        for option in options.keys() - signature.parameters.keys():
            known = list(signature.parameters)
            raise UsageError(
                f'{name} has no option "{option}".{suggestion(option, known)} Choices: {", ".join(known)}.'
            )
    try:
        bound = signature.bind(*args, **options)
    except TypeError as error:
        hint = f". Options are given by name, such as {_example(signature)}" if "positional" in str(error) else ""
        raise UsageError(f"{name}: {error}{hint}") from None
    for parameter in signature.parameters.values():
        if parameter.name in bound.arguments and (parameter.name not in packed or parameter.name in PARTS):
            bound.arguments[parameter.name] = _checked(parameter, bound.arguments[parameter.name])
    return bound


def _example(signature: Signature) -> str:
    """Return an option of a verb with a value; `train` has those of a recipe."""
    options = [each for each in signature.parameters.values() if each.kind is Parameter.KEYWORD_ONLY]
    if len(options) < 2:
        return 'data="digits"'
    return f"{options[0].name}={options[0].default!r}"


def _checked(parameter: Parameter, value: Any) -> Any:  # noqa: ANN401
    kind = PARTS.get(parameter.name)
    if kind and (value is not None or kind == "family") and not isinstance(value, str | os.PathLike):
        return _named(parameter.name, kind, value)
    if parameter.name in OBJECTS and not isinstance(value, str | os.PathLike):
        return value
    if parameter.kind is Parameter.VAR_KEYWORD or value is parameter.default:
        return value
    hint = str if parameter.annotation is Any else parameter.annotation
    if parameter.kind is Parameter.VAR_POSITIONAL:
        every = value[0] if len(value) == 1 and isinstance(value[0], list | tuple) else value
        return tuple(checked(parameter.name, each, hint) for each in every)
    return checked(parameter.name, value, hint)


def _named(parameter: str, kind: str, value: object) -> str:
    """Return the name of a user's own part, given as an object.

    Raises:
        UsageError: it is no part of this kind.
    """
    from genlab.recipes.recipe import Recipe
    from genlab.registration import name_of

    if kind == "family" and not (
        isinstance(value, Recipe) or (isinstance(value, type) and issubclass(value, Recipe))
    ):
        raise UsageError(
            f"{parameter} must be a name, such as dcgan, a path ending in .yaml, or a recipe, not {short(value)}. "
            "See genlab.recipes()."
        )
    return name_of(kind, value)


def _documented(doc: str, names: Sequence[str]) -> str:
    """Return a docstring whose section "Args:" has all parameters in order, with the help of the shared ones."""
    before, args, after = _sections(inspect.cleandoc(doc))
    of_sampling = {name: option.help for name, option in sampling_options().items()}
    own = {**of_sampling, **HELP, **_described(args)}
    lines = [_wrap(f"{name}: {own[name]}") for name in names if name in own]
    section = "\n".join(["Args:", *lines]) if lines else ""
    return "\n\n".join(filter(None, (before, section, after)))


_wrap = partial(
    textwrap.fill, width=105, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False
)


def _sections(doc: str) -> tuple[str, str, str]:
    """Return what comes before the section "Args:", its lines, and the sections after it."""
    before, *after = re.split(r"\n\n(?=(?:Args|Returns|Raises):\n)", doc)
    args = after.pop(0).partition("\n")[2] if after and after[0].startswith("Args:") else ""
    return before.strip(), args, "\n\n".join(after)


def _described(section: str) -> dict[str, str]:
    """Return the texts of a section "Args:", by parameter."""
    entries = re.split(r"^    (?=\S)", section, flags=re.MULTILINE)
    pairs = (entry.partition(": ") for entry in entries if entry.strip())
    return {name.lstrip("*"): " ".join(text.split()) for name, _, text in pairs}
