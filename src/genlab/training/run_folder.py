"""The folder of a run: its options, its history and its results."""

import errno
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import yaml

from genlab.core import legacy, yaml12
from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.core.files import append, read, replace, storage, sweep
from genlab.core.locks import lock
from genlab.core.pictures import Picture, png
from genlab.core.text import escaped
from genlab.core.warnings import warn_once
from genlab.training.lines import MOST, Shape, backwards, forwards, whole_lines, wrong
from genlab.training.links import WRITTEN, refuse_links

LATEST = "latest"
MOST_NAME = 1000  # bytes of the name of a folder
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)  # errors of systems without symbolic links
TIME = "%Y-%m-%dT%H:%M:%SZ"  # of day of an event, in UTC
_PREVIEW = re.compile(r"[0-9]{6,18}\.png")  # a step


class RunFolder:
    """The files of a run; also an observer of the training loop."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, name: str) -> "RunFolder":
        """Make `root/name`, or `root/name-2`, `-3` …

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
        return cls(path)

    def become_latest(self) -> None:
        """Let `latest` next to this folder point to it, which has all that a run needs to be found.

        It is a symbolic link, or a file with the folder's name where the system has no such links.

        Raises:
            StorageError: the disk refused.
        """
        link = self.path.with_name(LATEST)
        draft = link.with_name(f".{LATEST}-{self.path.name}")
        with storage(link):
            draft.unlink(missing_ok=True)
            try:
                draft.symlink_to(self.path.name, target_is_directory=True)
            except (OSError, NotImplementedError) as error:
                if isinstance(error, OSError) and error.errno not in NO_LINKS:
                    raise
                draft.write_bytes(os.fsencode(self.path.name))
            draft.replace(link)

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
            GenlabError: another process is training in it, or its lock is a link or no regular file.
        """
        with _opened(self.path / ".lock", os.O_RDWR | os.O_CREAT) as file:
            if not lock(file):
                time.sleep(0.1)  # `in_training` of another process locks for an instant
                if not lock(file):
                    raise GenlabError(f"another process is training in {self.path}; wait for it or stop it")
            yield

    def in_training(self) -> bool:
        """Whether a process is training in this folder now.

        Raises:
            GenlabError: its lock is a link or no regular file.
        """
        if not os.path.lexists(self.path / ".lock"):
            return False
        with _opened(self.path / ".lock", os.O_RDONLY) as file:
            return not lock(file, shared=True)

    def read_bytes(self, name: str | Path) -> bytes:
        """Return the bytes of a file.

        Raises:
            GenlabError: it is missing, no regular file, or longer than `MOST`.
        """
        path = name if isinstance(name, Path) else self.path / name
        try:
            return read(path, MOST)
        except OSError as error:
            raise GenlabError(f"cannot read {path}: {error.strerror}") from None

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
            values = yaml12.load(path)
        except (OSError, yaml.YAMLError) as error:
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
        self.write_bytes(f"previews/{step:06d}.png", png(picture))

    def event(self, step: int, kind: str, details: Mapping[str, Any]) -> None:
        """Append a line to events.jsonl, with the time of day in UTC."""
        now = time.strftime(TIME, time.gmtime())
        append(self.path / "events.jsonl", json.dumps({"step": step, "time": now, "event": kind, **details}))

    def close(self) -> None:
        """Do nothing: every line is on the disk already."""

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of history.jsonl, converted if by genlab 0.1; what `forwards` leaves out is missing."""
        return [legacy.signals(line) for line in forwards(self.path / "history.jsonl")]

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the lines of events.jsonl, all of them or those of one kind."""
        return [e for e in forwards(self.path / "events.jsonl") if kind in (None, e["event"])]

    def newest(self, name: Literal["history", "events"]) -> Iterator[dict[str, Any]]:
        """Yield the lines of history.jsonl or events.jsonl, the last first, and read only what is taken."""
        convert = legacy.signals if name == "history" else dict
        return map(convert, backwards(self.path / f"{name}.jsonl"))

    def rewind(self, step: int) -> None:
        """Remove what was recorded after `step`, because it will be recorded again; faults stay.

        Lines that cannot be read stay, too, at their places: nothing says to which step they belong.
        """
        repeated = {
            "evaluation": step + 1,
            "checkpoint": step + 1,
            "scores": step + 1,
            "phase": step,
        }  # from which step on
        self._keep("history.jsonl", lambda line: line["step"] <= step)
        self._keep("events.jsonl", lambda event: event["step"] < repeated.get(event["event"], math.inf))
        with storage(self.path / "previews"):
            (self.path / "previews").mkdir(exist_ok=True)
            for preview in self.previews():
                if int(preview.stem) > step:
                    preview.unlink()

    def _keep(self, name: str, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        lines = [line for line, record in whole_lines(self.path / name) if record is None or wanted(record)]
        self.write_bytes(name, b"".join(line + b"\n" for line in lines))

    def sweep(self) -> None:
        """Delete the drafts of files that killed processes have left."""
        for folder in (self.path, *(self.path / name for name in WRITTEN)):
            if folder.is_dir():
                sweep(folder)

    def previews(self) -> list[Path]:
        """Return the previews, oldest first; files of other names are not genlab's."""
        pictures = (path for path in (self.path / "previews").glob("*.png") if _PREVIEW.fullmatch(path.name))
        return sorted((path for path in pictures if path.is_file()), key=lambda path: int(path.stem))


def find(run: str | Path, root: Path) -> RunFolder:
    """Return the run at the path `run`, or with the name `run` (or "latest") in `root`.

    If "latest" leads to no run, it is the newest run next to it, with a warning.

    Raises:
        UsageError: there is no such run; the message suggests the closest name.
        GenlabError: a file or folder in it is a link to the outside, where genlab would write or delete files.
    """
    path = next(filter(_is_run, map(followed, (Path(run), root / run))), None)
    path = path or _instead_of_latest(Path(run), root)
    if path:
        folder = path.resolve()
        refuse_links(folder)
        return RunFolder(folder)
    of = next(filter(_is_run, Path(run).parents), None)
    if of and Path(run).exists():
        raise UsageError(
            f"{run} is inside the run {of}. Give the run, and --checkpoint best or last if the command has it."
        )
    names = sorted(p.name for p in _runs(root))
    known = f" Runs in {root}: {', '.join(names)}." if names else f" There is no run in {root} yet."
    order = " It is no run: the run comes first, what it is used on second." if Path(run).exists() else ""
    raise UsageError(f'no run "{run}".{order or suggestion(str(run), names)}{known}')


def _is_run(path: Path) -> bool:
    try:
        return (path / "recipe.yaml").is_file()
    except OSError:  # it may not be looked at, or its name is too long
        return False


def _runs(root: Path) -> list[Path]:
    """Return the runs in a folder, without `latest`."""
    return [path for path in root.iterdir() if path.name != LATEST and _is_run(path)] if root.is_dir() else []


def _instead_of_latest(run: Path, root: Path) -> Path | None:
    """Return the run whose recipe.yaml is the newest, if `run` is "latest", which does not lead to one."""
    if run.name != LATEST:
        return None
    link = root / LATEST if str(run) == LATEST else run
    newest = max(_runs(link.parent), key=lambda path: (path / "recipe.yaml").stat().st_mtime, default=None)
    if newest:
        warn_once(f"{link} does not lead to a run; the newest run, {newest}, is used instead")
    return newest


def _numbered(name: str, other: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(name) + r"(?:-(\d+))?", other)


def followed(path: Path) -> Path:
    """Return the folder next to it that `latest` names, if it is a file; any other path as it is."""
    if path.name != LATEST:
        return path
    try:
        name = os.fsdecode(read(path, MOST_NAME))
    except OSError:  # it is a link, or missing
        return path
    is_name = name not in ("", "..") and "\0" not in name and Path(name).name == name
    return path.with_name(name) if is_name else path


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[IO[bytes]]:
    """Open a lock, a regular file, without waiting and without changing what is in it."""
    try:
        file = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if path.is_symlink():
            why = "is a link, which genlab does not follow. Delete it and try again."
            raise GenlabError(f"{path} {why}") from None
        raise GenlabError(f"cannot open {path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise GenlabError(f"{path} is not a regular file. Delete it and try again.")
    with os.fdopen(file, "rb") as opened:
        yield opened
