"""genlab works without what only Linux and macOS have: locks, links, signals and folders as Windows knows them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genlab.core import locks
from genlab.core.files import sync_folder
from genlab.training.interruption import Interruption
from genlab.training.run_folder import LATEST, RunFolder, find, followed

# Run before genlab is imported. Other packages are imported first: they may use what their own system has.
WINDOWS = """
import errno, fcntl, os, shutil, signal, sys, tempfile, types
import matplotlib.pyplot, numpy, PIL.Image, rich.console, safetensors.torch, torch, yaml

for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1"):
    delattr(signal, name)
for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "mkfifo", "fork", "getuid", "geteuid"):
    delattr(os, name)
shutil._use_fd_functions = False

def locking(descriptor, mode, length):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "locked") from None
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)

os_open, os_rename = os.open, os.rename
def opened(path, flags, *args, **options):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "a folder cannot be opened", path)
    return os_open(path, flags, *args, **options)
def renamed(source, target, **options):
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "there is such a file", target)
    os_rename(source, target, **options)
def no_link(*args, **options):
    raise OSError(errno.EINVAL, "A required privilege is not held by the client")
os.open, os.rename, os.symlink = opened, renamed, no_link
"""
USE = """
import genlab
from genlab.cli.main import run as command

tiny = dict(architecture="mlp", width=8, batch_size=16, data="ring8", log_every=1, evaluate_every=1)
run = genlab.train("gan", steps=2, name="a b", quiet=True, **tiny)
assert run.step == 2 and run.name == "a b"
assert os.path.isfile("runs/latest")
assert genlab.load("latest").sample(3).shape == (3, 2)
assert genlab.load("runs/latest").sample(3).shape == (3, 2)
assert genlab.runs()[0].state == "finished", genlab.runs()[0].state
assert "(latest)" in str(genlab.runs())
assert genlab.resume("latest", steps=3, quiet=True).step == 3
assert genlab.rm("latest").places and genlab.rm("a b", undo=True).places
assert command(["report", "a b"]) == 0
print("done")
"""


def test_a_run_is_trained_loaded_resumed_and_listed_as_on_windows(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(
        [sys.executable, "-c", WINDOWS + USE],
        cwd=tmp_path,
        env={**os.environ, **ascii_only, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "done"
    assert "Traceback" not in ended.stderr


def test_without_any_locks_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with (tmp_path / "a").open("wb") as one, (tmp_path / "a").open("rb") as other:
        assert locks.lock(one)
        assert locks.lock(other)


def test_latest_is_a_file_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(os, "symlink", refused)
    for name in ("vae", "a b"):
        folder = RunFolder.create(tmp_path, name)
        folder.write_text("recipe.yaml", "preset: vae\n")
        folder.become_latest()
    assert (tmp_path / LATEST).read_text() == "a b"
    for run in ("latest", tmp_path / LATEST):
        assert find(run, tmp_path).path == folder.path.resolve()


@pytest.mark.parametrize("text", ["", "..", "../a", "/", "a/b", "a\0b", "x" * 2000])
def test_a_file_called_latest_leads_only_to_its_siblings(text: str, tmp_path: Path) -> None:
    (tmp_path / LATEST).write_text(text)
    assert followed(tmp_path / LATEST) in (tmp_path / LATEST, tmp_path / text)
    assert followed(tmp_path / LATEST).resolve().parent == tmp_path.resolve()


def test_signals_of_other_systems_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    monkeypatch.delattr(signal, "SIGHUP")
    with Interruption() as interruption:
        assert interruption.received == 0


def test_folders_are_not_opened_where_they_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    sync_folder(tmp_path / "gone")
