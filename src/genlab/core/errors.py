"""Errors that a user reads: each names the value, the choices and the next step."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class GenlabError(Exception):
    """Something the user can understand and mend; shown without a traceback. Exit code 1."""

    exit_code = 1


class UsageError(GenlabError):
    """A name, flag, key or value that genlab does not know. Exit code 2."""

    exit_code = 2


class DataError(GenlabError):
    """A source of pictures that cannot be used as it is."""


class CheckpointError(GenlabError):
    """A checkpoint that is incomplete, altered, foreign or newer than this genlab."""


class StorageError(GenlabError):
    """The disk refused a write: full, read-only, gone."""


class NonFiniteError(GenlabError):
    """NaN or Inf in a loss or a gradient, found in its step, or in a weight, before anything is made of it.

    `player` names the network that was being updated, `tensor` what was not finite.
    """

    exit_code = 4

    def __init__(self, player: str, tensor: str, value: str) -> None:
        self.player = player
        self.tensor = tensor
        self.value = value
        super().__init__(
            f"{value} in {tensor} while updating the {player}. What was saved before is finite and whole. "
            "The usual causes: a learning rate too high, or images outside [-1, 1]."
        )


class RunFailureError(GenlabError):
    """A run was stopped because of what the doctor found, `finding`."""

    exit_code = 3

    def __init__(self, message: str, finding: object = None) -> None:
        self.finding = finding
        super().__init__(message)


def suggestion(name: str, choices: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """Return ` Did you mean "…"?` for the choice nearest to `name`, as it is `shown`, or an empty string."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f' Did you mean "{shown(near[0])}"?' if near else ""


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Return `table[name]`.

    Raises:
        UsageError: `name` is no key of `table`; the message lists the keys and the nearest one.
    """
    if name in table:
        return table[name]
    raise UsageError(f'unknown {what} "{name}".{suggestion(name, table)} Choices: {", ".join(table)}.')
