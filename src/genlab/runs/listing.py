"""Lists the runs in a folder."""

import html
import time
from calendar import timegm
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from genlab.core.errors import GenlabError
from genlab.core.text import escaped
from genlab.runs.run import Run
from genlab.training.run_folder import LATEST, TIME, followed

_MADE = ("checkpoints", "previews")  # what a run folder has before its recipe.yaml
_HEADER = ("run", "preset", "data", "step", "state", "best", "changed")
_AGES = (("d", 86_400), ("h", 3600), ("min", 60))


@dataclass(frozen=True)
class _Entry:
    """A run with its summary and its row of the table."""

    run: Run
    values: Mapping[str, Any]
    row: Sequence[str]


class RunList(Sequence[Run]):
    """The runs in a folder when they were listed, the newest last; `print` and notebooks show a table.

    Run folders that cannot be read are not in the sequence: `problems` has the reason for each by name.

    >>> runs = list_runs("runs")
    >>> print(runs)
    >>> [run for run in runs if run.state == "interrupted"]
    """

    def __init__(self, root: Path, entries: Sequence[_Entry], problems: Mapping[str, str]) -> None:
        self.root = root
        self.problems = problems
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> list[Run]: ...
    def __getitem__(self, place: int | slice) -> Run | list[Run]:
        """Return a run, or several."""
        return [entry.run for entry in self._entries][place]

    def values(self) -> list[dict[str, Any]]:
        """Return the summaries of the runs and the problems as plain values for JSON."""
        broken = [{"name": n, "folder": str(self.root / n), "problem": why} for n, why in self.problems.items()]
        return [*broken, *(dict(entry.values) for entry in self._entries)]

    def __str__(self) -> str:
        if not self._entries and not self.problems:
            return f"There is no run in {self.root} yet. Start one: genlab train dcgan"
        rows = [_HEADER, *(entry.row for entry in self._entries)] if self._entries else []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*(f"{name}: {why}" for name, why in self.problems.items()), *lines])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        if not self._entries:
            return f"<pre>{html.escape(str(self))}</pre>"
        broken = "".join(f"<p>{html.escape(f'{name}: {why}')}</p>" for name, why in self.problems.items())
        head = "".join(f"<th>{name}</th>" for name in _HEADER)
        cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in entry.row) for entry in self._entries)
        return escaped(f"{broken}<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")


def list_runs(root: str | Path = "runs") -> RunList:
    """Return the runs directly in the folder `root`, the one that changed last at the end.

    Folders that are no runs are ignored.
    """
    root = Path(root)
    inside = sorted(root.iterdir()) if root.is_dir() else []
    latest = followed(root / LATEST).resolve()
    entries: list[_Entry] = []
    problems: dict[str, str] = {}
    for path in inside:
        if path.name == LATEST or path.name.startswith("."):
            continue
        try:
            if (path / "recipe.yaml").is_file():
                entries.append(_entry(Run(path), latest))
            elif all((path / name).is_dir() for name in _MADE):
                problems[path.name] = "has no recipe.yaml: its training has only just started, or never began"
        except (GenlabError, OSError) as error:
            problems[path.name] = str(error)
    return RunList(root, sorted(entries, key=lambda entry: entry.values["changed"]), problems)


def _entry(run: Run, latest: Path) -> _Entry:
    values = {**run.values(), "latest": run.folder == latest}
    return _Entry(run, values, _row(values))


def _row(values: Mapping[str, Any]) -> Sequence[str]:
    return (
        f"{values['name']} ({LATEST})" if values["latest"] else values["name"],
        values["preset"],
        values["data"],
        f"{values['step']:,}/{values['steps']:,}",
        values["state"],
        "{criterion} {value:.4g} at {step:,}".format_map(values["best"]) if values["best"] else "",
        _age(time.time() - timegm(time.strptime(values["changed"], TIME))),
    )


def _age(seconds: float) -> str:
    """Return how long ago something was, in its largest unit."""
    for unit, size in _AGES:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"
