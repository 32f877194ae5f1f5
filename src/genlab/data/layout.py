"""Reads splits and classes from the folders of a source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genlab.data import split
from genlab.data.dataset import IntArray
from genlab.data.listing import printable

_HELD_OUT = frozenset({"test", "val", "valid", "validation", "held-out"})


@dataclass(frozen=True)
class Layout:
    """The label and the split of each picture, in the order of the paths."""

    labels: IntArray | None  # (N,)
    classes: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]  # (N,)
    rule: str  # how the splits were decided, in words


def lay_out(paths: Sequence[str]) -> Layout:
    """Return the labels and splits that the folders of the accepted pictures give.

    A single folder around everything is ignored. If the folders in it are `train` and one or more of `test`,
    `val`, `valid`, `validation`, `held-out`, they are the splits. Below that, the first folder of each picture is
    its class, if every picture lies in a folder and there are at least two folders.

    Raises:
        DataError: fewer than two pictures, and no folders for the splits.
    """
    inner = _unwrap(list(paths))
    tops = [_top(path) for path in inner]
    names = {top.casefold() for top in tops}
    if "train" in names and len(names) > 1 and names <= _HELD_OUT | {"train"}:
        held_out = np.array([top.casefold() != "train" for top in tops])
        others = " and ".join(f"{name}/" for name in sorted(names - {"train"}))
        rule = f"the source's own: train/ for training, {others} held out"
        tops = [_top(path.partition("/")[2]) for path in inner]
    else:
        held_out, rule = split.held_out(paths), split.RULE
    classes = sorted(set(tops))
    if len(classes) < 2 or "" in classes:
        return Layout(None, (), held_out, rule)
    number = {name: at for at, name in enumerate(classes)}
    labels = np.array([number[top] for top in tops], dtype=np.int64)
    return Layout(labels, tuple(map(printable, classes)), held_out, rule)


def _top(path: str) -> str:
    """Return the first folder of a path, or an empty string."""
    top, slash, _ = path.partition("/")
    return top if slash else ""


def _unwrap(paths: list[str]) -> list[str]:
    while (top := _top(paths[0])) and all(path.startswith(f"{top}/") for path in paths):
        paths = [path[len(top) + 1 :] for path in paths]
    return paths
