"""Reads splits and classes from the folders of a source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError
from genlab.core.text import few, printable
from genlab.data import split
from genlab.data.dataset import IntArray

TRAIN = frozenset({"train", "training"})
HELD_OUT = frozenset(
    {"test", "testing", "dev", "val", "valid", "validation", "eval", "evaluation", "held-out", "held_out"}
)
_FEW = 0.1  # the largest share of pictures beside the folders that are rejected for the sake of the folders
_SHOWN = 4  # folders that a message names


@dataclass(frozen=True)
class Layout:
    """The label and the split of each picture, in the order of the paths."""

    labels: IntArray | None  # (N,)
    classes: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]  # (N,)
    rule: str  # how the splits were decided, in words
    classing: str  # how the classes were decided, in words


def lay_out(paths: Sequence[str]) -> Layout:
    """Return the labels and splits that the folders of the accepted pictures give.

    A single folder around everything is ignored. If the folders in it are called `train` or `training` and `test`,
    `testing`, `dev`, `val`, `valid`, `validation`, `eval`, `evaluation` or `held-out`, they are the splits; so are
    such folders within each class. The first other folder of each picture is its class, if every picture lies in
    one and there are at least two.

    Raises:
        DataError: fewer than two pictures and no folders for the splits, or folders for splits beside others.
    """
    held_out, rule, inner = splits(paths)
    tops = [_top(path) for path in inner]
    names = sorted(set(tops) - {""})
    if len(names) < 2:
        return Layout(None, (), held_out, rule, "none: there are no two folders for them")
    if beside := tops.count(""):
        why = f"none: {beside} pictures lie beside the folders {listed_folders(names)}"
        return Layout(None, (), held_out, rule, why)
    number = {name: at for at, name in enumerate(names)}
    labels = np.array([number[top] for top in tops], dtype=np.int64)
    return Layout(labels, tuple(map(printable, names)), held_out, rule, f"{len(names)} folders")


def splits(paths: Sequence[str]) -> tuple[npt.NDArray[np.bool_], str, list[str]]:
    """Return which pictures are held out, (N,), how that was decided, and their paths without those folders.

    Raises:
        DataError: as `lay_out`.
    """
    inner = _unwrap(list(paths))
    tops = [_top(path) for path in inner]
    if are_splits(tops):
        return *_own([top.casefold() for top in tops]), _unwrap([_below(path) for path in inner])
    second = [_top(_below(path)) for path in inner]
    if are_splits(second):
        return *_own([top.casefold() for top in second]), inner
    return split.held_out(paths), split.RULE, inner


def are_splits(folders: Sequence[str]) -> bool:
    """Return whether folders, of which each picture has one, are for training and held out.

    Raises:
        DataError: some are and others are not.
    """
    names = {name.casefold() for name in folders}
    if len(names) > 1 and (names <= TRAIN or names <= HELD_OUT):
        missing = "training" if names <= HELD_OUT else "held-out pictures"
        raise DataError(
            f"the folders {listed_folders(sorted(names))} are splits, but there is none for {missing}. Add it, or "
            "give one of the folders; or, if they are classes, rename them."
        )
    if not (names & TRAIN and names & HELD_OUT):
        return False
    if other := sorted(name for name in set(folders) if name.casefold() not in TRAIN | HELD_OUT):
        where = f"{folders.count('')} pictures" if other == [""] else listed_folders(filter(None, other))
        raise DataError(
            f"the folders {listed_folders(sorted(names & (TRAIN | HELD_OUT)))} are splits, but the source also "
            f"has {where} beside them. Move them into the folders or away; or, if all are classes, rename them."
        )
    return True


def _own(names: Sequence[str]) -> tuple[npt.NDArray[np.bool_], str]:
    held_out = np.array([name in HELD_OUT for name in names])
    train, others = (" and ".join(f"{name}/" for name in sorted(set(names) & side)) for side in (TRAIN, HELD_OUT))
    return held_out, f"the source's own: {train} for training, {others} held out"


def strays(paths: Sequence[str]) -> list[int]:
    """Return the positions of a few pictures that lie beside the folders of splits or classes.

    If they were kept, there would be no classes. More than a tenth of the pictures are not a few.
    """
    few, are_splits = max(1, int(_FEW * len(paths))), False
    found: list[int] = []
    inner = dict(enumerate(paths))
    while True:
        direct = [at for at, path in inner.items() if "/" not in path]
        if len(direct) == len(inner):
            return sorted(found) if are_splits else []
        found += direct
        if len(found) > few:
            return []
        for at in direct:
            del inner[at]
        tops = {_top(path).casefold() for path in inner.values()}
        here = bool(tops & TRAIN and tops & HELD_OUT)
        if not here and len({_top(path) for path in inner.values()}) > 1:
            return sorted(found)
        are_splits |= here
        inner = {at: _below(path) for at, path in inner.items()}


def _top(path: str) -> str:
    """Return the first folder of a path, or an empty string."""
    top, slash, _ = path.partition("/")
    return top if slash else ""


def _below(path: str) -> str:
    """Return a path without its first folder."""
    return path.partition("/")[2]


def _unwrap(paths: list[str]) -> list[str]:
    while (top := _top(paths[0])) and all(path.startswith(f"{top}/") for path in paths):
        paths = [_below(path) for path in paths]
    return paths


def listed_folders(names: Iterable[str]) -> str:
    """Return the first few names of folders for a message."""
    return few((f"{printable(name)}/" for name in names), _SHOWN)
