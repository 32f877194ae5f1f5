"""Disks that refuse, processes that are killed, and what a run must come to in spite of them."""

import builtins
import errno
import json
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NoReturn
from unittest import mock

import pytest
import torch

import genlab
from forks import FORKS, prepare
from genlab.core.errors import GenlabError
from genlab.training.run_folder import RunFolder

TINY: Mapping[str, Any] = {
    "architecture": "mlp",
    "width": 8,
    "latent": 4,
    "batch_size": 16,
    "data": "ring8",
    "seed": 7,
    "name": "run",
    "log_every": 1,
}


class Disk:
    """The changes that this process makes below a folder, numbered from 1; `act` is called before each.

    A file that is written makes four: it is opened, written to, half written, flushed to the disk. A folder's
    flush, mkdir, rename, link and removal are one each.
    """

    def __init__(self, root: Path, act: Callable[[int, str], None], within: str = "") -> None:
        self.root, self.within = str(root.resolve()), within  # `within`: what else the path must hold
        self.act = act
        self.count = 0

    def change(self, kind: str, path: object) -> None:
        real = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        if real.startswith(self.root) and self.within in real[len(self.root) :]:
            self.count += 1
            self.act(self.count, kind)

    def watch(self, patch: pytest.MonkeyPatch, *, flush: bool = True) -> "Disk":
        """Watch as long as `patch` lasts; without `flush` nothing waits for the real disk."""
        opened = pathlib.Path.open
        patch.setattr(pathlib.Path, "open", lambda path, *a, **k: self._open(opened, path, *a, **k))
        patch.setattr(builtins, "open", partial(self._open, open))
        for name in ("mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir"):
            patch.setattr(os, name, self._counted(name, getattr(os, name)))
        patch.setattr(os, "fsync", self._fsync(os.fsync if flush else lambda descriptor: None))
        return self

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            folder = options.get("dir_fd")  # shutil.rmtree names files relative to open folders
            changed = arguments[0] if name == "symlink" else path
            self.change(name, changed if folder is None else f"/proc/self/fd/{folder}")
            return function(path, *arguments, **options)

        return call

    def _fsync(self, function: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            self.change("fsync", f"/proc/self/fd/{descriptor}")
            function(descriptor)

        return call

    def _open(self, function: Callable[..., Any], path: Path, mode: str = "r", *a: Any, **k: Any) -> Any:
        if not set(mode) & set("wax"):
            return function(path, mode, *a, **k)
        self.change("open", path)
        return _Writer(function(path, mode, *a, **k), lambda kind: self.change(kind, path))


def full(root: Path, at: int, *, once: bool = False) -> Disk:
    """Return a disk that has no room for the `at`-th change, nor for later ones unless `once`."""

    def act(number: int, kind: str) -> None:
        if (number == at or (number > at and not once)) and kind not in ("unlink", "rmdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return Disk(root, act)


class _Writer:
    """A file that is written in two halves."""

    def __init__(self, file: Any, change: Callable[[str], None]) -> None:
        self.file, self.change = file, change

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        self.change("write")
        written: int = self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.change("tear")
        return written + int(self.file.write(data[len(data) // 2 :]))


@dataclass(frozen=True)
class Kill:
    """An instant.

    A change below checkpoints/ or anywhere below the root, a call of a module (in training, in an evaluation or a
    preview), a player's update, or a time in seconds.
    """

    at: Literal["checkpoint", "folder", "call", "update", "clock"]
    count: float

    def arm(self, out: Path) -> None:
        """Let this process end by SIGKILL then."""
        if self.at == "clock":
            timer = threading.Timer(self.count, die)
            timer.daemon = True
            timer.start()
        elif self.at == "update":
            self._die_in(torch.optim.Adam, "step")
        elif self.at == "call":
            self._die_in(torch.nn.Module, "__call__")
        else:
            within = "/checkpoints/" if self.at == "checkpoint" else ""
            disk = Disk(out, lambda number, kind: die() if number == self.count else None, within)
            disk.watch(pytest.MonkeyPatch())

    def _die_in(self, owner: type, name: str) -> None:
        calls = iter(range(1, 1 << 30))
        method = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if next(calls) == self.count:
                die()
            return method(*arguments, **options)

        mock.patch.object(owner, name, counted).start()


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


@dataclass(frozen=True)
class End:
    """How a child ended: its exit code (of a signal, negative), and the GenlabError or result it ended with."""

    code: int | None
    said: Any = None


def in_child(function: Callable[..., Any], *arguments: Any) -> End:
    """Call `function` in another process, and wait for its end."""
    process, answers = begin(function, *arguments)
    return finish(process, answers)


def begin(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Connection]:
    """Call `function` in another process; `finish` waits for it."""
    answers, answer = FORKS.Pipe(duplex=False)
    with mock.patch.dict(os.environ, {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}):
        process = FORKS.Process(target=_child, args=(answer, function, arguments), daemon=True)
        process.start()
    answer.close()
    return process, answers


def finish(process: Any, answers: Connection) -> End:
    with answers:
        try:
            said = answers.recv()
        except EOFError:  # killed
            said = None
    process.join()
    return End(process.exitcode, said)


def _child(answer: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    prepare()
    try:
        answer.send(function(*arguments))
    except GenlabError as error:
        answer.send((type(error).__name__, str(error)))
        raise SystemExit(error.exit_code) from None


def train(preset: str, options: Mapping[str, Any], kill: Kill | None = None) -> None:
    """Train, or go on with the latest run in `options["root"]`; end by `kill`."""
    latest = Path(options["root"]) / "latest"
    if kill:
        kill.arm(latest.parent)
    if (latest / "recipe.yaml").exists():
        genlab.resume(latest, quiet=True)
    else:  # or it was stopped before there was anything to go on with
        genlab.train(preset, quiet=True, **options)


def outcome(run: Path) -> dict[str, Any]:
    """Return what must be the same however often a run was stopped: all but times and faults."""
    folder = RunFolder(run)
    weights = [
        run / "checkpoints" / which / f"{name}.safetensors"
        for which in ("last", "best")
        for name in ("model", "training")
    ]
    files = {str(path.relative_to(run)): path.read_bytes() for path in (*weights, *folder.previews())}
    state = json.loads((folder.last / "state.json").read_bytes())
    return {
        **files,
        "state": _timeless(state),
        "history": [_timeless(line) for line in folder.history()],
        "evaluations": [_timeless(event) for event in folder.events("evaluation")],
        "left over": [p.name for p in run.rglob("*") if p.suffix in (".new", ".old")],
    }


def _timeless(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in ("seconds", "time", "data_wait_fraction")}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names under which two outcomes differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
