"""The command line. Nothing here imports torch; commands import what they need when they run."""

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    Parameter,
    Token,
    UnknownCommandError,
    UnknownOptionError,
    convert,
)

from genlab.cli.command import as_command
from genlab.cli.train import training_app
from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.plugins import of_command_line
from genlab.recipes.fields import checked
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import owners
from genlab.verbs import COMMANDS, find
from genlab.version import __version__

HELP = """Train, diagnose, evaluate and use generative models of images.

A first run, two minutes: `genlab train dcgan --minutes 2`

With networks, losses or data of your own: `--plugin FILE` in any command, and `--accept-changed` if the file has
changed since a run was trained.
"""


def build_app(tokens: Sequence[str]) -> App:
    """Return the command line; a YAML file among `tokens` becomes a subcommand of `train`."""
    app = App(
        name="genlab",
        help=HELP,
        help_format="markdown",
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # `run` handles it
        default_parameter=Parameter(converter=_read),
    )
    typed = tokens[1] if len(tokens) > 1 and tokens[0] == "train" else None
    app.command(training_app(typed))
    for name in COMMANDS[1:]:
        app.command(as_command(find(name)))
    return app


def _read(kind: Any, tokens: Sequence[Token]) -> Any:  # noqa: ANN401
    """Convert what was typed to a type; a fraction is refused for a whole number, not rounded.

    What cannot be converted is refused in the same words as in YAML and in Python.
    """
    kinds, typed = {kind, *get_args(kind)}, [token.value for token in tokens]
    name, value = tokens[0].keyword, typed[0] if len(typed) == 1 else tuple(typed)
    if name and int in kinds and float not in kinds and re.fullmatch(r"[-+]?\d*\.\d*[1-9]\d*", typed[0]):
        return checked(name, value, kind)
    try:
        return convert(kind, tokens)
    except CoercionError:
        if name:
            checked(name, value, kind)
        raise


def run(tokens: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0; 1 error, 2 usage, 3 the doctor found a failure, 4 NaN or Inf, 130 and 143 signals.
    """
    try:
        tokens = of_command_line(tokens)
        with _logging():
            build_app(tokens)(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(_explained(error, tokens), UsageError.exit_code)
    except GenlabError as error:
        return _complain(error, error.exit_code)
    except KeyboardInterrupt:
        return _complain(GenlabError("interrupted"), 130)
    except BrokenPipeError:  # the reader of the pipe has stopped
        return 1
    except OSError as error:
        return _complain(error, GenlabError.exit_code)
    return 0


def _explained(error: CycloptsError, tokens: Sequence[str]) -> Exception:
    """Return an error of the command line, in our own words where Cyclopts does not know what was meant."""
    command, name, *_ = *tokens, "", ""
    if isinstance(error, UnknownCommandError) and command == "train":
        return UsageError(f'no preset "{name}".{suggestion(name, PRESETS)} Presets: {", ".join(PRESETS)}.')
    if isinstance(error, UnknownOptionError):
        typed = error.token.keyword or error.token.value
        families = owners(typed.removeprefix("--").replace("-", "_"))
        if families and command == "train" and name in PRESETS:
            return UsageError(f"{name} has no {typed}.{families}")
        if families and command == "resume":
            start = f"start a new run with `genlab train RUN/recipe.yaml {typed} …`"
            return UsageError(f"resume cannot change {typed}, which belongs to the recipe; {start}")
    return error


@contextmanager
def _logging() -> Iterator[None]:
    """Write what the library logs to standard error."""
    log = logging.getLogger("genlab")
    handler, level = logging.StreamHandler(), log.level
    handler.setFormatter(logging.Formatter(f"{_name()}: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _name() -> str:
    rank = os.environ.get("RANK")  # set by torchrun, whose processes all write here
    return f"genlab (process {rank})" if rank else "genlab"


def _complain(error: Exception, code: int) -> int:
    for line in filter(None, (str(error), *getattr(error, "__notes__", ()))):
        print(f"{_name()}: {line}", file=sys.stderr)
    return code


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
