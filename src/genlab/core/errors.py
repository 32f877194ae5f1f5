"""Errors that a user reads: each names the value, the choices and the next step."""

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


class LostProcessError(GenlabError):
    """One of several processes has ended, without which the others cannot continue."""


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
            f"{value} in {tensor} while updating the {player}. Usual causes: the learning rate is too high, or "
            "images are outside [-1, 1]. Train again with a lower --lr."
        )


class RunFailureError(GenlabError):
    """A run was stopped because the doctor found a failure, `finding`."""

    exit_code = 3

    def __init__(self, message: str, finding: object = None) -> None:
        self.finding = finding
        super().__init__(message)


def suggestion(name: str, choices: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """Return ` Did you mean "…"?` with the closest choice, formatted by `shown`, or nothing if none is near.

    Near is what differs by case or dashes only, by a typing mistake for each four letters, or by words that are
    missing at an end.
    """
    wanted = _folded(name)
    distances = {choice: _distance(wanted, _folded(choice)) for choice in choices if isinstance(choice, str)}
    near = [choice for choice, distance in distances.items() if _is_near(wanted, _folded(choice), distance)]
    return f' Did you mean "{shown(min(near, key=distances.__getitem__))}"?' if near else ""


def _folded(name: object) -> str:
    return str(name).lower().replace("_", "-")


def _is_near(name: str, choice: str, distance: int) -> bool:
    most = max(len(name), len(choice)) // 4 if len(name) > 3 else 1
    words_left_out = len(name) > 3 and (choice.startswith(f"{name}-") or choice.endswith(f"-{name}"))
    return len(name) > 1 and (distance <= most or words_left_out)


def _distance(one: str, other: str) -> int:
    """Return how many letters to insert, delete, replace or swap with the next turn one text into the other."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, its in enumerate(other):
            row.append(min(last[j + 1] + 1, row[j] + 1, last[j] + (letter != its)))
            if i and j and letter == other[j - 1] and one[i - 1] == its:
                row[-1] = min(row[-1], before[j - 1] + 1)
        before, last = last, row
    return last[-1]


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Return `table[name]`.

    Raises:
        UsageError: `name` is not a key of `table`; the message lists the keys and the closest one.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    raise UsageError(f'unknown {what} "{name}".{suggestion(name, table)} Choices: {", ".join(table)}.')
