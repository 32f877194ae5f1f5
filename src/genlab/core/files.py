"""Reads and writes the files of a run: durably, without following links, and with clear errors."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from genlab.core.errors import StorageError, UsageError

_DRAFT = re.compile(r".+\.[0-9a-f]{8}\.new")  # a name that `replace` gives

_NO_PLACE = (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.EROFS)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with `~` replaced by the home folder, if there is one."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 which raises an error without a home folder


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the context into a `StorageError` that names `path` and the next step."""
    try:
        yield
    except OSError as error:
        next_step = "Free some space (or fix the permissions) and try again."
        if error.errno in _NO_PLACE:
            next_step = "Choose another place."
        raise StorageError(f"cannot write {path}: {error.strerror or error}. {next_step}") from error


def read(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file, of which there may be at most `most`.

    A FIFO or device is not read, because it may wait or never end.

    Raises:
        OSError: it is missing, not a regular file, or longer than `most`.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is not a file with bytes of its own", str(path))
        if about.st_size > most:
            raise OSError(errno.EFBIG, f"it has {about.st_size:,} bytes, more than {most:,}", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(about.st_size)
    finally:
        os.close(descriptor)


def write(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk.

    Raises:
        StorageError: the disk refused, or there is such a file or link already: use `replace`.
    """
    with storage(path), path.open("xb") as file:  # "x" follows no link
        _fill(file, data)


def put(path: Path, data: bytes) -> None:
    """Write a file that can be rebuilt, without waiting for the disk, which takes longer than to rebuild it.

    What is at `path` is removed before, so that no link is followed. A kill may leave a part of the file.

    Raises:
        StorageError: the disk refused.
    """
    with storage(path):
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write(data)


def _fill(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Write a whole file next to `path` and move it there, so that a reader sees the old or the new one.

    The draft has a name of its own, so that processes can replace a file at the same time, and nobody can have put
    a link in its place. A link or another name of a file at `path` is replaced, not written through.

    Raises:
        StorageError: the disk refused; the old file is untouched.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with storage(path), draft.open("xb") as file:
            _fill(file, data)
        rename(draft, path)
    except BaseException as error:
        swept = isinstance(error.__cause__, FileNotFoundError) and path.parent.is_dir()
        draft.unlink(missing_ok=True)
        if not swept:
            raise
        replace(path, data)


def sweep(folder: Path) -> None:
    """Delete the drafts that killed processes have left in a folder; a living process writes its draft again.

    Raises:
        StorageError: the disk refused.
    """
    with storage(folder):
        for path in folder.iterdir():
            if _DRAFT.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)


def refuse_filled(folder: Path) -> None:
    """Refuse a folder that is not empty, and a file.

    Raises:
        UsageError: it is one of them.
        StorageError: it cannot be read.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file. Choose a folder for --out.")
    with storage(folder):
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty. Choose a new --out, so that images are not mixed.")


def append(path: Path, line: str) -> None:
    """Append one line in a single write, so that a kill leaves at most one incomplete line, the last.

    Raises:
        StorageError: the disk refused, or `path` is a link.
    """
    data = line.encode() + b"\n"
    with storage(path), open(path, "ab", buffering=0, opener=_no_link) as file:
        if file.write(data) != len(data):  # there was room for a part of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def rename(source: Path, target: Path) -> None:
    """Rename a file and wait until its new name is on the disk.

    Raises:
        StorageError: the disk refused.
    """
    with storage(target):
        try:
            source.rename(target)
        except FileExistsError:  # Windows renames to a new name only
            source.replace(target)
    sync_folder(target.parent)


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk.

    Raises:
        StorageError: the disk refused.
    """
    with storage(path), path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk; on Windows, which cannot open folders, do nothing.

    Raises:
        StorageError: the disk refused.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    with storage(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
