"""Writes the files of a run durably, with clear errors if the disk refuses."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genlab.core.errors import StorageError


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the context into a `StorageError` that names `path` and the next step."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}. Files that were saved before are intact. "
            "Free some space (or fix the permissions) and try again; `genlab resume` continues a run."
        ) from error


def write(path: Path, data: bytes) -> None:
    """Write a whole file and wait until it is on the disk.

    Raises:
        StorageError: the disk refused.
    """
    with storage(path), path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Write a whole file next to `path` and move it there, so that a reader sees the old or the new one.

    Raises:
        StorageError: the disk refused; the old file is untouched.
    """
    draft = path.with_name(path.name + ".new")
    write(draft, data)
    rename(draft, path)


def append(path: Path, line: str) -> None:
    """Append one line in a single write, so that a kill leaves at most one incomplete line, the last.

    Raises:
        StorageError: the disk refused.
    """
    data = line.encode() + b"\n"
    with storage(path), path.open("ab", buffering=0) as file:
        if file.write(data) != len(data):  # there was room for a part of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def rename(source: Path, target: Path) -> None:
    """Rename a file and wait until its new name is on the disk.

    Raises:
        StorageError: the disk refused.
    """
    with storage(target):
        source.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk.

    Raises:
        StorageError: the disk refused.
    """
    with storage(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
