"""A command of the command line, made from a verb: the same parameters and help, and `--json`."""

import inspect
import json
import os
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Group, Parameter

from genlab.core.errors import RunFailureError
from genlab.core.text import escaped, escaped_json
from genlab.recipes.fields import flag, with_own
from genlab.verbs import COMMANDS
from genlab.verbs.options import PARTS
from genlab.verbs.verb import helps, signature_of, summary

SHORT = {"number": "-n", "samples": "-n", "neighbours": "-k"}
NO_VALUES = ("sample", "report")  # verbs whose results are pictures alone
AS_JSON = tuple(name for name in COMMANDS if name not in NO_VALUES)  # verbs whose results have `values()`
SEVERAL = (Sequence[str] | None, str | Sequence[str] | None, tuple[float, ...] | None)  # types of several values
FAILS_UNHEALTHY = "doctor"


def as_command(verb: Callable[..., Any]) -> Callable[..., None]:
    """Return the command of a verb."""
    described = helps(verb)
    parameters = [_typed(each, described[each.name]) for each in signature_of(verb).parameters.values()]
    return printing(verb, verb.__name__, summary(verb), parameters)


def printing(
    call: Callable[..., Any],
    name: str,
    about: str,
    parameters: Sequence[inspect.Parameter],
    group: Group | None = None,
) -> Callable[..., None]:
    """Return a command that prints the result of the verb `name`.

    Args:
        call: the verb, or the verb with some arguments.
        name: of the verb.
        about: the help of the command.
        parameters: those that Cyclopts is to read, besides --json.
        group: of --json in the help.
    """

    def command(*args: Any, **options: Any) -> None:  # noqa: ANN401 (checked by the verb)
        as_json = options.pop("json", False)
        result = call(*args, **options)
        if as_json:
            _print(escaped_json(json.dumps(result.values(), indent=1, ensure_ascii=False)))
        elif not options.get("quiet"):
            _print(escaped(str(result)))
        if name == FAILS_UNHEALTHY and not result.healthy:
            raise RunFailureError("")  # everything is printed already

    if name in AS_JSON:
        shown = Parameter(help="Print the result as JSON.", negative_bool=())
        shown = Parameter.combine(shown, Parameter(group=group)) if group else shown
        parameters = [*parameters, option("json", False, bool, shown)]
    command.__name__, command.__doc__ = name, about
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def option(name: str, default: Any, hint: Any, about: Parameter) -> inspect.Parameter:  # noqa: ANN401
    """Return a parameter that is given by its flag."""
    annotation = Annotated[hint, about]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _print(text: str) -> None:
    """Print a text; of several processes only the first one does."""
    if os.environ.get("RANK", "0") == "0":
        print(text)


def _typed(parameter: inspect.Parameter, described: str) -> inspect.Parameter:
    """Return a parameter of a verb as it is typed on the command line."""
    names = [flag(parameter.name), SHORT[parameter.name]] if parameter.name in SHORT else None
    # Words and numbers are given as --presets a b; pairs are given one by one, as --map a=b --map c=d.
    words = parameter.annotation in SEVERAL
    about = Parameter(
        name=names,
        help=described,
        negative_iterable=(),
        negative_bool=() if parameter.default is False else None,
        consume_multiple=words,
    )
    if parameter.default == ():
        parameter = parameter.replace(default=None)
    hint = str | None if parameter.annotation is Any else parameter.annotation
    kind = with_own(_kind(hint), PARTS.get(parameter.name))
    return parameter.replace(annotation=Annotated[kind, about])


def _kind(hint: Any) -> Any:  # noqa: ANN401
    """Return the type of which a value is typed: a path, a text or several texts, of all that a verb accepts."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    parts = get_args(hint)
    if any(get_origin(part) is Sequence for part in parts):
        return list[str] | None
    for kind in (Path, str):
        if kind in parts:
            return kind | None if type(None) in parts else kind
    return hint
