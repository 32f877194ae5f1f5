"""Folders in which entries of the cache are built, and the removal of those that killed processes left."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

_LOCK = "lock"  # of the process that builds: the system releases it when the process ends in any way
_STALE_SECONDS = 24 * 3600.0  # without a lock


@contextmanager
def locked(cache: Path, name: str) -> Iterator[Path]:
    """Yield a new folder, which other processes do not sweep as long as this one lives, and remove it."""
    part = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".part", dir=cache))
    try:
        with ExitStack() as stack:
            draft = part / f"{_LOCK}.new"
            if _locks(stack.enter_context(draft.open("xb"))):
                draft.rename(part / _LOCK)  # locked before anyone can see it
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sweep(cache: Path) -> None:
    """Remove what killed processes left."""
    for part in cache.glob("*.part"):
        if _abandoned(part):
            shutil.rmtree(part, ignore_errors=True)


def _abandoned(part: Path) -> bool:
    try:
        with os.fdopen(os.open(part / _LOCK, os.O_RDWR | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            return _locks(file)
    except FileNotFoundError:
        return _is_old(part)
    except OSError:  # of another user, or not a folder
        return False


def _is_old(part: Path) -> bool:
    try:
        return time.time() - part.stat().st_mtime > _STALE_SECONDS
    except OSError:  # another process has removed it
        return False


def _locks(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; return whether it could be, not on Windows, which renames no open file."""
    try:
        import fcntl  # not on Windows

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
