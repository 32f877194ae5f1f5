"""Values of a run by step, as arrays."""

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.core.text import counted

_PROFILE = re.compile(r"(.+)\[(\d+)\]")  # the name of one value of a profile, such as kl[0]


class Columns:
    """A row for each recorded step and a column for each value; `steps` (T,) has the steps.

    >>> history = run.history
    >>> history.columns
    ['seconds', 'loss', 'kl[0]', 'kl[1]', …]
    >>> history["loss"]  # (T,), NaN where it was not recorded
    >>> history["kl"]  # (T, 2): the profile kl[0], kl[1]
    >>> history.to_pandas()["loss"].plot()
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take mappings with a `step` and with values by name; only numbers are kept."""
        self._lines = list(lines)
        self.steps: NDArray[np.int64] = np.array([line["step"] for line in self._lines], np.int64)

    @cached_property
    def columns(self) -> Sequence[str]:
        """The names of the columns, in the order in which they were first recorded."""
        names = {n: None for line in self._lines for n, v in line.items() if isinstance(v, int | float)}
        return [name for name in names if name != "step"]

    @cached_property
    def _profiles(self) -> Mapping[str, Sequence[str]]:
        """The columns of each profile in the order of their numbers."""
        found: dict[str, list[tuple[int, str]]] = {}
        for column in self.columns:
            if match := _PROFILE.fullmatch(column):
                found.setdefault(match[1], []).append((int(match[2]), column))
        return {name: [column for _, column in sorted(columns)] for name, columns in found.items()}

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._lines)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns or name in self._profiles

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column (T,), or a profile (T, n); missing values are NaN.

        Raises:
            UsageError: there is no such column.
        """
        if name in self.columns:
            values = [line.get(name) for line in self._lines]
            return np.array(values, bool if all(isinstance(value, bool) for value in values) else float)
        if name in self._profiles:
            return np.stack([self[column] for column in self._profiles[name]], axis=1)
        names = [*self.columns, *self._profiles]
        listed = f"Choices: {', '.join(names)}." if names else "Nothing has been recorded yet."
        raise UsageError(f'no column "{name}".{suggestion(name, names)} {listed}')

    def to_pandas(self) -> Any:  # noqa: ANN401 (pandas is not a dependency)
        """Return a pandas DataFrame of all columns, indexed by step.

        Raises:
            GenlabError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise GenlabError("pandas is not installed: pip install pandas") from None
        return pandas.DataFrame({n: self[n] for n in self.columns}, index=pandas.Index(self.steps, name="step"))

    def __repr__(self) -> str:
        names = [name for name in self.columns if not _PROFILE.fullmatch(name)] + [
            f"{n}[…]" for n in self._profiles
        ]
        return f"<{counted(len(self), 'step')}: {', '.join(names) or 'none yet'}>"
