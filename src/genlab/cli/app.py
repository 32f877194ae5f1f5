"""The commands of the command line. Nothing here imports torch; commands import what they need when they run."""

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from cyclopts import (
    App,
    Argument,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    convert,
)

from genlab.cli.command import as_command
from genlab.cli.train import training_app
from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.core.text import counted, escaped, typed
from genlab.plugins import of_command_line
from genlab.recipes.fields import checked, flag
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import instead, owners
from genlab.verbs import COMMANDS, JOBS, VERBS, find
from genlab.version import __version__

HELP = """Train, diagnose, evaluate and use generative models of images and tables.

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
        suppress_keyboard_interrupt=False,  # `run_command` handles it
        default_parameter=Parameter(converter=_read),
    )
    typed = tokens[1] if len(tokens) > 1 and tokens[0] == "train" else None
    for at, (job, names) in enumerate(JOBS.items()):
        group = Group(job, sort_key=at)
        for place, name in enumerate(names):
            app.command(training_app(typed) if name == "train" else as_command(find(name)))
            app[name].group, app[name].sort_key = group, place
    app["--help"].group = app["--version"].group = Group("Options", sort_key=len(JOBS))
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


def run_command(tokens: Sequence[str]) -> int:
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
    except KeyboardInterrupt as interrupt:
        kept = "; ".join(getattr(interrupt, "__notes__", ()))
        return _complain(
            GenlabError(f"interrupted: {kept}" if kept else "interrupted before there was a result"), 130
        )
    except BrokenPipeError:  # the reader of the pipe has stopped
        return 1
    except OSError as error:
        return _complain(error, GenlabError.exit_code)
    return 0


def _explained(error: CycloptsError, tokens: Sequence[str]) -> Exception:
    """Return an error of the command line, with our own text where Cyclopts cannot name the mistake."""
    command, name, *_ = *tokens, "", ""
    unused = (error.unused_tokens or [""])[0]
    if isinstance(error, UnknownCommandError) and command == "train":
        return _no_preset(name)
    if isinstance(error, UnknownCommandError) and unused in VERBS:
        return UsageError(
            f'"{unused}" is a Python function: `genlab.{unused}("RUN")`. Commands: {", ".join(COMMANDS)}.'
        )
    if isinstance(error, UnknownCommandError):
        return UsageError(f'no command "{unused}".{suggestion(unused, COMMANDS)} Commands: {", ".join(COMMANDS)}.')
    if isinstance(error, UnknownOptionError):
        return _no_option(error, command, name)
    if isinstance(error, MissingArgumentError) and error.argument and error.command_chain:
        return _missing(error, error.argument, " ".join(error.command_chain))
    if isinstance(error, UnusedCliTokensError) and command == "train":
        return UsageError(f'train takes one preset, not also "{unused}". Did you mean {typed("--data", unused)}?')
    if isinstance(error, UnusedCliTokensError):
        return UsageError(f'{command} does not take "{unused}". See `genlab {command} --help`.')
    return error


def _missing(error: MissingArgumentError, argument: Argument, words: str) -> UsageError:
    """Return the error of an option without its values, or of a command without what it needs."""
    count, name = argument.token_count()[0], error.keyword or argument.name
    if error.keyword:
        lacks = f"{name} needs {counted(count, 'value')}"
        lacks += f", not {len(error.tokens_so_far)}" if error.tokens_so_far else ""
    else:
        lacks = f"{words} needs {name if argument.index is None else name.removeprefix('--').upper()}"
    return UsageError(f"{lacks}. See `genlab {words} --help`.")


def _no_preset(name: str) -> UsageError:
    """Return the error of an unknown preset."""
    if name.startswith("-"):
        return UsageError(f"train needs a preset before {name}, as in `genlab train dcgan {name} …`.")
    data = (
        f" To use it as data: {typed('genlab', 'train', 'dcgan', '--data', name)}." if Path(name).exists() else ""
    )
    return UsageError(f'no preset "{name}".{suggestion(name, PRESETS)}{data} Presets: {", ".join(PRESETS)}.')


def _no_option(error: UnknownOptionError, command: str, name: str) -> UsageError:
    """Return the error of an unknown option."""
    given = error.token.keyword or error.token.value
    option = given.removeprefix("--").replace("-", "_")
    if command == "resume" and owners(option):
        start = f"start a new run with `genlab train RUN/recipe.yaml {given} …`"
        return UsageError(f"resume cannot change {given}, which belongs to the recipe; {start}")
    flags = [known for argument in error.argument_collection for known in argument.names]
    names = [known.removeprefix("--").replace("-", "_") for known in flags]
    of, words = (name, f"train {name}") if command == "train" else (command, command)
    hint = instead(option, names, flag) if command == "train" else suggestion(option, names, flag)
    return UsageError(f"{of} has no option {given}.{hint} See `genlab {words} --help`.")


class _MessageFormatter(logging.Formatter):
    """Starts each message with the name of the program, and escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return escaped(f"{_name()}: {super().format(record)}")


@contextmanager
def _logging() -> Iterator[None]:
    """Write to standard error what the library logs; of several processes, only the first one writes notes."""
    log = logging.getLogger("genlab")
    handler, level = logging.StreamHandler(), log.level
    handler.setFormatter(_MessageFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)
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
        print(f"{_name()}: {escaped(line)}", file=sys.stderr)
    return code
