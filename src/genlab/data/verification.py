"""Verifies that the files of a cache entry are those that were written: by their hashes, once after each boot.

A power cut can leave a file of the right length that is full of zeros. So an entry holds the length and the sha256
of each file, and, once they were compared, a stamp with the boot and the state of the files (length, times,
inode). An entry whose stamp still holds is not read again: the hashes of 2 GB take seconds.
"""

import hashlib
import json
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from genlab.core.errors import StorageError
from genlab.core.files import read, replace, sync, sync_folder
from genlab.data.stamp import stamp

MANIFEST, STAMP = "manifest.json", "verified.json"
_MOST = 2**20  # bytes of either
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_always = ContextVar("always", default=False)


@contextmanager
def verifying() -> Iterator[None]:
    """Compare the hashes of every entry that is opened inside the context, also of those with a stamp."""
    token = _always.set(True)
    try:
        yield
    finally:
        _always.reset(token)


def record(entry: Path) -> None:
    """Write the manifest and the stamp of a new entry, and wait until all of it is on the disk."""
    files = {name: [state[0], _hash(entry / name)] for name, state in _states(entry).items()}
    (entry / MANIFEST).write_text(json.dumps(files, indent=1), encoding="utf-8")
    states = _states(entry)
    (entry / STAMP).write_text(json.dumps(_as_stamp(states)), encoding="utf-8")
    for name in states:
        sync(entry / name)
    sync_folder(entry)


def verify(entry: Path) -> None:
    """Return if the files of an entry are those that were written.

    Raises:
        ValueError: they are not.
        OSError: a file cannot be read.
    """
    states = _states(entry)
    if not _always.get() and _stamped(entry) == _as_stamp(states):
        return
    if MANIFEST not in states:
        raise ValueError(f"it lacks {MANIFEST}")
    written = _json(entry / MANIFEST)
    if not isinstance(written, dict):
        raise ValueError(f"{MANIFEST} does not list files")
    if lost := written.keys() - states.keys():
        raise ValueError(f"it lacks {', '.join(sorted(lost))}")
    if foreign := states.keys() - {*written, MANIFEST}:
        raise ValueError(f"it holds {', '.join(sorted(foreign))}")
    for name, known in written.items():
        length = states[name][0]  # compared first: a file may be longer than anyone can wait for
        if not isinstance(known, list) or known[:1] != [length] or known != [length, _hash(entry / name)]:
            raise ValueError(f"{name} has changed")
    _stamp(entry, states)


def is_intact(entry: Path) -> bool:
    """Return whether there is an entry, and `verify` finds no fault in it."""
    try:
        verify(entry)
    except (OSError, ValueError):
        return False
    return True


def _states(entry: Path) -> dict[str, list[int]]:
    """Return the length, the times and the inode of each file in an entry."""
    states = {}
    for path in entry.iterdir():
        if path.name == STAMP or path.suffix == ".new":
            continue
        try:
            about = path.stat()
        except OSError as error:
            raise ValueError(f"{path.name}: {error.strerror}") from error
        if not stat.S_ISREG(about.st_mode):  # a FIFO would wait forever
            raise ValueError(f"{path.name} is not a file")
        states[path.name] = list(stamp(about))  # as JSON gives it back
    return states


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_stamp(states: dict[str, list[int]]) -> dict[str, Any]:
    return {"boot": _boot(), "files": states}


def _stamp(entry: Path, states: dict[str, list[int]]) -> None:
    with suppress(StorageError):  # a cache that cannot be written is verified each time
        replace(entry / STAMP, json.dumps(_as_stamp(states)).encode())


def _stamped(entry: Path) -> object:
    """Return the stamp of an entry; None if there is none."""
    try:
        return _json(entry / STAMP)
    except (OSError, ValueError):
        return None


def _json(path: Path) -> object:
    try:
        values: object = json.loads(read(path, _MOST))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON") from error
    return values


@cache
def _boot() -> str:
    """Return what identifies this boot of the machine; where that is unknown, this process."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return secrets.token_hex(16)
