"""The trash of a folder of runs: removed runs stay in it until they are restored or the trash is deleted."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from genlab.core.errors import UsageError, suggestion
from genlab.core.files import storage
from genlab.core.text import typed
from genlab.recipes.settings import DEFAULT_ROOT
from genlab.runs.listing import list_runs
from genlab.training.run_folder import LATEST, RunFolder, find, followed

TRASH = ".trash"


@dataclass(frozen=True)
class Moved:
    """Runs that were moved into the trash or out of it."""

    places: Mapping[Path, Path]  # where each run was, and where it is now
    into_trash: bool
    latest: Path | None  # the run to which `latest` points since then; None if it stayed, or there is none

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        moved = {str(before): str(after) for before, after in self.places.items()}
        return {"moved": moved, "latest": None if self.latest is None else str(self.latest)}

    def __str__(self) -> str:
        lines = [f"{before} is now {after}" for before, after in self.places.items()]
        if self.latest:
            lines.append(f"{LATEST} is now {self.latest}")
        if self.into_trash:
            lines += [f"To restore: {_undo(*place)}" for place in _by_root(self.places.values())]
        return "\n".join(lines)


def remove(runs: Sequence[str], root: Path) -> Moved:
    """Move runs into the folder `.trash` next to them; nothing is moved if one of them cannot be.

    If `latest` pointed to one of them, it points to the run that changed last, or is removed.

    Raises:
        UsageError: there is no such run, or it is a link or in training.
        StorageError: the disk refused.
    """
    places = list(dict.fromkeys(_place(run, root) for run in runs))
    moved: dict[Path, Path] = {}
    for place in places:
        moved[place] = _move(place, place.parent / TRASH)
    roots = dict.fromkeys(place.parent for place in places)
    newest = [_repoint(each) for each in roots if os.path.lexists(each / LATEST) and _is_lost(each / LATEST)]
    return Moved(moved, into_trash=True, latest=next((each for each in newest if each), None))


def restore(names: Sequence[str], root: Path) -> Moved:
    """Move runs from the trash of `root` back into it; under a new number if their name is taken.

    Raises:
        UsageError: there is no such run in the trash.
        StorageError: the disk refused.
    """
    folder = _real(root / TRASH)
    there = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for name in names:
        if name not in there:
            listed = f"Runs in it: {', '.join(there)}." if there else "It is empty."
            raise UsageError(f'no run "{name}" in {folder}.{suggestion(name, there)} {listed}')
    moved = {folder / name: _move(folder / name, root) for name in dict.fromkeys(names)}
    return Moved(moved, into_trash=False, latest=_repoint(root) if _is_lost(root / LATEST) else None)


def _place(run: str, root: Path) -> Path:
    """Return the folder of a run; a link is followed only if it is `latest`."""
    given = Path(run) if (Path(run) / "recipe.yaml").is_file() else root / run
    found = find(run, root)
    if given.name == LATEST:
        given = given.with_name(found.path.name)
    if given.is_symlink():
        raise UsageError(f"{given} is a link to {found.path}. Delete the link by hand, or give the folder itself.")
    if found.in_training():
        raise UsageError(f"a process is training in {given} now. Stop it, or wait until it has ended.")
    return given if given.name not in ("", "..") else found.path


def _move(place: Path, folder: Path) -> Path:
    """Move a run into a folder, under its name or with the next free number."""
    with storage(folder):
        _real(folder).mkdir(exist_ok=True)
        names = chain([place.name], (f"{place.name}-{number}" for number in count(2)))
        target = next(folder / name for name in names if not os.path.lexists(folder / name))
        place.rename(target)
    return target


def _real(folder: Path) -> Path:
    """Return a folder of runs or its trash; a trash that is a link is refused."""
    if folder.name == TRASH and folder.is_symlink():
        raise UsageError(f"{folder} is a link, and runs are only moved within {folder.parent}. Delete the link.")
    return folder


def _is_lost(latest: Path) -> bool:
    return not (followed(latest) / "recipe.yaml").is_file()


def _repoint(root: Path) -> Path | None:
    """Let `latest` point to the run that changed last; without a run, remove it."""
    left = list_runs(root)
    if left:
        RunFolder(root / left[-1].name).become_latest()
        return root / left[-1].name
    with storage(root):
        (root / LATEST).unlink(missing_ok=True)
    return None


def _by_root(places: Iterable[Path]) -> list[tuple[Path, list[str]]]:
    """Return the folders of runs with the names of the runs in their trash."""
    found: dict[Path, list[str]] = {}
    for place in places:
        found.setdefault(place.parent.parent, []).append(place.name)
    return list(found.items())


def _undo(root: Path, names: Sequence[str]) -> str:
    return typed("genlab", "rm", "--undo", *names, *([] if str(root) == DEFAULT_ROOT else ["--root", root]))
