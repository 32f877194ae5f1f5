"""A command of the command line, made from a verb: the same parameters and help, and `--json`."""

import inspect
import json
import os
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Parameter

from genlab.core.errors import RunFailureError
from genlab.recipes.fields import flag, with_own
from genlab.verbs.verb import helps, summary

SHORT = {"number": "-n", "samples": "-n"}
OWN_PARTS = {"sampler": "sampler"}  # parameters whose values may be a user's own parts, by their kind
JSON = Annotated[bool, Parameter(help="Print the result as JSON.", negative_bool=())]
AS_JSON = ("reconstruct", "evaluate", "compare", "doctor", "info", "data", "recipes", "checks", "bench")
FAILS_UNHEALTHY = "doctor"


def as_command(verb: Callable[..., Any], shown: Callable[[Any], str] = str) -> Callable[..., None]:
    """Return a function that calls a verb and prints its result, with the signature that Cyclopts reads."""
    name, described = verb.__name__, helps(verb)
    parameters = [_typed(each, described[each.name]) for each in inspect.signature(verb).parameters.values()]
    if name in AS_JSON:
        parameters.append(
            inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JSON)
        )

    def command(*args: Any, **options: Any) -> None:  # noqa: ANN401 (checked by the verb)
        as_json = options.pop("json", False)
        result = verb(*args, **options)
        if not options.get("quiet"):
            show(result.values() if as_json else shown(result))
        if name == FAILS_UNHEALTHY and not result.healthy:
            raise RunFailureError("")  # everything is printed already

    command.__name__, command.__doc__ = name, summary(verb)
    return signed(command, parameters)


def signed(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """Return `command` with the parameters that Cyclopts is to read."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def show(result: Any) -> None:  # noqa: ANN401
    """Print a text, or plain values as JSON; of several processes only the first one does."""
    if os.environ.get("RANK", "0") == "0":
        print(result if isinstance(result, str) else json.dumps(result, indent=1, ensure_ascii=False))


def _typed(parameter: inspect.Parameter, described: str) -> inspect.Parameter:
    """Return a parameter of a verb as it is typed on the command line."""
    names = [flag(parameter.name), SHORT[parameter.name]] if parameter.name in SHORT else None
    # A list of words is given as --presets a b; pairs are given one by one, as --map a=b --map c=d.
    words = parameter.annotation == Sequence[str] | None
    about = Parameter(
        name=names,
        help=described,
        negative_iterable=(),
        negative_bool=() if parameter.default is False else None,
        consume_multiple=words,
    )
    if parameter.default == ():
        parameter = parameter.replace(default=None)
    kind = with_own(_kind(parameter.annotation), OWN_PARTS.get(parameter.name))
    return parameter.replace(annotation=Annotated[kind, about])


def _kind(hint: Any) -> Any:  # noqa: ANN401
    """Return the type of which a value is typed: a path, a text or several texts, of all that a verb accepts."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    parts = get_args(hint)
    for kind in (Path, str):
        if kind in parts:
            return kind | None if type(None) in parts else kind
    return list[str] | None if Sequence[str] in parts else hint
