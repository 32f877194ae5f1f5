"""The folder of a run: its options, its history and its results."""

import fcntl
import json
import math
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import yaml

from genlab.core import legacy, yaml12
from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.core.files import append, replace, storage, write
from genlab.core.pictures import Picture, png
from genlab.core.text import escaped
from genlab.training.lines import Shape, backwards, forwards, wrong

LATEST = "latest"
TIME = "%Y-%m-%dT%H:%M:%SZ"  # of day of an event, in UTC
FOLDERS = ("previews", "checkpoints", "evaluations", "samples", "reconstructions", "interpolations")
FILES = (  # and the drafts of their next version, with .new at the end
    *("recipe.yaml", "data.yaml", "rejected.csv", "history.jsonl", "events.jsonl"),
    *("results.csv", "results.png", "report.html", ".lock"),
)


class RunFolder:
    """The files of a run; also an observer of the training loop."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, name: str) -> "RunFolder":
        """Make `root/name`, or `root/name-2`, `-3` …, and let `root/latest` point to it.

        Raises:
            UsageError: the name cannot be a folder's, or is reserved.
            StorageError: the disk refused.
        """
        if name in ("", LATEST) or name.startswith(".") or Path(name).name != name:
            raise UsageError(f'a run cannot be called "{name}": choose a --name without slashes, not "{LATEST}"')
        with storage(root):
            root.mkdir(parents=True, exist_ok=True)
            taken = [int(m[1] or 1) for p in root.iterdir() if (m := _numbered(name, p.name))]
            number = max(taken, default=0) + 1
            while True:
                path = root / (name if number == 1 else f"{name}-{number}")
                try:
                    path.mkdir()
                    break
                except FileExistsError:  # another process was faster
                    number += 1
            (path / "previews").mkdir()
            (path / "checkpoints").mkdir()
            _point(root / LATEST, path)
        return cls(path)

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last"

    @property
    def best(self) -> Path:
        """The checkpoint with the best evaluation."""
        return self.path / "checkpoints" / "best"

    @property
    def healthy(self) -> Path:
        """A checkpoint after which the doctor found nothing for a while; only with `--on-failure treat`."""
        return self.path / "checkpoints" / "healthy"

    @property
    def evaluations(self) -> Path:
        """Where `genlab evaluate` stores its results."""
        return self.path / "evaluations"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Prevent other processes from training in this folder.

        Raises:
            GenlabError: another process is training in it, or its lock is a link.
        """
        with _opened(self.path / ".lock") as file:
            if not _locks(file, fcntl.LOCK_EX):
                time.sleep(0.1)  # `in_training` of another process locks for an instant
                if not _locks(file, fcntl.LOCK_EX):
                    raise GenlabError(f"another process is training in {self.path}; wait for it or stop it")
            yield

    def in_training(self) -> bool:
        """Whether a process is training in this folder now."""
        try:
            with (self.path / ".lock").open("rb") as file:
                return not _locks(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def write_text(self, name: str, text: str) -> None:
        """Write or replace a text file atomically; control characters in it are escaped."""
        self.write_bytes(name, escaped(text).encode())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write or replace a file atomically."""
        replace(self.path / name, data)

    def write_yaml(self, name: str, values: Mapping[str, Any]) -> None:
        """Write `values` in their order to the YAML file `name`."""
        self.write_bytes(name, yaml12.written(dict(values)).encode())

    def read_yaml(self, name: str, **needed: Shape) -> dict[str, Any]:
        """Return what `write_yaml` wrote; `needed` are its necessary keys, with the shapes of their values.

        Raises:
            GenlabError: it is missing or not valid YAML, or a needed value is missing or has another shape.
        """
        path = self.path / name
        try:
            values = yaml12.read(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise GenlabError(f"cannot read {path}: {error}") from None
        if not isinstance(values, dict):
            raise GenlabError(f"{path} does not hold keys and values")
        if why := wrong(values, needed):
            raise GenlabError(f"{path} is damaged, because {why}. Restore the file.")
        return values

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line to history.jsonl."""
        append(self.path / "history.jsonl", json.dumps({"step": step, **values}))

    def picture(self, step: int, picture: Picture) -> None:
        """Write a preview."""
        write(self.path / "previews" / f"{step:06d}.png", png(picture))

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Append a line to events.jsonl, with the time of day in UTC."""
        now = time.strftime(TIME, time.gmtime())
        append(self.path / "events.jsonl", json.dumps({"step": step, "time": now, "event": kind, **details}))

    def close(self) -> None:
        """Do nothing: every line is on the disk already."""

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of history.jsonl, converted if by genlab 0.1; an incomplete last line is ignored."""
        return [legacy.signals(line) for line in forwards(self.path / "history.jsonl")]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of events.jsonl, all of them or those of one kind."""
        return [e for e in forwards(self.path / "events.jsonl") if kind in (None, e["event"])]

    def newest(self, name: Literal["history", "events"]) -> Iterator[dict[str, Any]]:
        """Yield the lines of history.jsonl or events.jsonl, the last first, and read only what is taken."""
        convert = legacy.signals if name == "history" else dict
        return map(convert, backwards(self.path / f"{name}.jsonl"))

    def rewind(self, step: int) -> None:
        """Remove what was recorded after `step`, because it will be recorded again; faults stay."""
        history = [line for line in self.history() if line["step"] <= step]
        repeated = {"evaluation": step + 1, "checkpoint": step + 1, "phase": step}  # from which step on
        events = [e for e in self.events() if e["step"] < repeated.get(e["event"], math.inf)]
        for name, lines in (("history.jsonl", history), ("events.jsonl", events)):
            replace(self.path / name, "".join(json.dumps(line) + "\n" for line in lines).encode())
        with storage(self.path / "previews"):
            for preview in self.previews():
                if int(preview.stem) > step:
                    preview.unlink()

    def previews(self) -> list[Path]:
        """Return the previews, oldest first."""
        pictures = (path for path in (self.path / "previews").glob("*.png") if path.stem.isdecimal())
        return sorted(pictures, key=lambda path: int(path.stem))


def find(run: str | Path, root: Path) -> RunFolder:
    """Return the run at the path `run`, or with the name `run` (or "latest") in `root`.

    Raises:
        UsageError: there is no such run; the message suggests the closest name.
        GenlabError: a file or folder in it is a link to the outside, where genlab would write or delete files.
    """
    for path in (Path(run), root / run):
        if (path / "recipe.yaml").is_file():
            folder = path.resolve()
            _refuse_links(folder)
            return RunFolder(folder)
    folders = [p for p in root.iterdir() if (p / "recipe.yaml").is_file()] if root.is_dir() else []
    names = sorted(p.name for p in folders)
    listed = ", ".join(name for name in names if name != LATEST)
    known = f" Runs in {root}: {listed}." if names else f" There is no run in {root} yet."
    raise UsageError(f'no run "{run}".{suggestion(str(run), names)}{known}')


def _numbered(name: str, other: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(name) + r"(?:-(\d+))?", other)


def _point(link: Path, target: Path) -> None:
    """Point the symbolic link `link` to its sibling `target`, atomically."""
    draft = link.with_name(f".{link.name}-{target.name}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.name, target_is_directory=True)
    draft.replace(link)


def _refuse_links(folder: Path) -> None:
    """Refuse a run folder in which what genlab writes or deletes is a link that leads out of it."""
    for path in _links(folder, {*FOLDERS, *FILES, *(f"{name}.new" for name in FILES)}):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(folder):
            raise GenlabError(
                f"{path} is a link to {target}, outside of the run folder: genlab would write and delete files "
                "there. Replace the link by what it leads to. To keep a run on another disk, move its whole "
                "folder there, and link that."
            )


def _links(folder: Path, names: Collection[str] = ()) -> Iterator[Path]:
    """Yield the links in a folder and in the folders in it; with `names` only in entries that are called so."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a checkpoint that its training has just replaced
        return
    for entry in entries:
        if names and entry.name not in names:
            continue
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(Path(entry.path))


@contextmanager
def _opened(lock: Path) -> Iterator[IO[bytes]]:
    """Open a lock file, which is never a link, without changing what is in it."""
    if lock.is_symlink():
        raise GenlabError(f"{lock} is a link, perhaps to a file that matters. Delete the link and try again.")
    with storage(lock):
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with os.fdopen(file, "r+b") as opened:
        yield opened


def _locks(file: IO[bytes], kind: int) -> bool:
    """Lock a file until it is closed; return whether it could be locked."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
