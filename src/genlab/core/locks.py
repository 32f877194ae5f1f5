"""Locks on open files, on every system: one process has them at a time, and they end with it."""

from importlib import import_module
from typing import IO


def lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Lock a file until it is closed; return whether it could be locked.

    Locks that are `shared` do not exclude each other, except on Windows. A Python that has neither `fcntl` nor
    `msvcrt` locks nothing.
    """
    try:
        fcntl = import_module("fcntl")
    except ImportError:
        return _lock_byte(file)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_byte(file: IO[bytes]) -> bool:
    """Lock the first byte, as Windows does."""
    try:
        msvcrt = import_module("msvcrt")
    except ImportError:
        return True
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
