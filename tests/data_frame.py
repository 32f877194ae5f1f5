"""A data frame without pandas."""

from typing import Any

import numpy as np


class Frame:
    """A data frame as genlab sees it: columns by name, each with `to_numpy`."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.values, self.columns = columns, list(columns)

    def __len__(self) -> int:
        return len(self.values[self.columns[0]])

    def __getitem__(self, name: str) -> "Series":
        return Series(self.values[name])

    def to_numpy(self) -> np.ndarray[Any, Any]:
        raise AssertionError("the columns have different types")


class Series:
    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def to_numpy(self) -> np.ndarray[Any, Any]:
        numbers = all(isinstance(value, int | float) for value in self.values if value is not None)
        filled = [np.nan if value is None and numbers else value for value in self.values]
        return np.array(filled, None if numbers else object)
