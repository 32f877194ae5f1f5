"""Errors that a user reads: each names the value, the choices and the next step."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from genlab.core.text import escaped

T = TypeVar("T")


class GenlabError(Exception):
    """An error that the user can understand and fix; shown without a traceback. Exit code 1.

    Its text may name files and classes, so it is escaped.
    """

    exit_code = 1

    def __str__(self) -> str:
        return escaped(super().__str__())


class UsageError(GenlabError):
    """An unknown name, flag, key or value. Exit code 2."""

    exit_code = 2


class DataError(GenlabError):
    """A data source that cannot be used as it is."""


class CheckpointError(GenlabError):
    """A checkpoint that is incomplete, altered, from another program or from a newer genlab."""


class StorageError(GenlabError):
    """The disk refused a write: it is full, read-only or missing."""


class NonFiniteError(GenlabError):
    """NaN or Inf in a loss or a gradient, found in the same step, or in a weight, found before it is used.

    `player` names the network that was being updated, `tensor` the tensor that was not finite.
    """

    exit_code = 4

    def __init__(self, player: str, tensor: str, value: str) -> None:
        self.player = player
        self.tensor = tensor
        self.value = value
        super().__init__(
            f"{value} in {tensor} while updating the {player}. Earlier checkpoints are finite and complete. "
            "Usual causes: the learning rate is too high, or images are outside [-1, 1]. Train again with a "
            "lower --lr."
        )


class RunFailureError(GenlabError):
    """A run was stopped because the doctor found a failure, `finding`."""

    exit_code = 3

    def __init__(self, message: str, finding: object = None) -> None:
        self.finding = finding
        super().__init__(message)


def suggestion(name: str, choices: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """Return ` Did you mean "…"?` with the closest choice, formatted by `shown`, or an empty string."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f' Did you mean "{shown(near[0])}"?' if near else ""


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Return `table[name]`.

    Raises:
        UsageError: `name` is not a key of `table`; the message lists the keys and the closest one.
    """
    if name in table:
        return table[name]
    raise UsageError(f'unknown {what} "{name}".{suggestion(name, table)} Choices: {", ".join(table)}.')
