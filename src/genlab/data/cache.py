"""The cache of decoded data: an entry is built once, is complete or absent, and is verified before it is used."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from genlab.core import files
from genlab.core.errors import DataError, StorageError, UsageError
from genlab.core.text import escaped
from genlab.core.warnings import LOG
from genlab.data import draft, verification

T = TypeVar("T")

_DIGEST = 32  # bytes of a sha256
_MOST = 2**31  # bytes of a file that is read whole
_TRIES = 4  # to read an entry that other processes replace


def cache_folder() -> Path:
    """Return `$GENLAB_CACHE`, else `$XDG_CACHE_HOME/genlab`, else `~/.cache/genlab`.

    Without a home folder, as in some containers, it is a folder for temporary files that only this user can read.

    Raises:
        UsageError: there is no home folder, and the temporary one belongs to somebody else.
    """
    if own := os.environ.get("GENLAB_CACHE"):
        return files.expanded(own)
    folder = files.expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return _temporary() if folder.parts[0].startswith("~") else folder / "genlab"


def _temporary() -> Path:
    user = getattr(os, "getuid", lambda: 0)()  # Windows has none, and calls every owner 0
    folder = Path(tempfile.gettempdir(), f"genlab-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        safe = not folder.is_symlink() and folder.stat().st_uid == user
    except OSError:
        safe = False
    if not safe:
        raise UsageError(
            f'there is no home folder for the cache, and "{folder}" cannot be used instead. Name a folder with '
            "the environment variable GENLAB_CACHE."
        )
    return folder


def prepared(cache: Path, key: object, build: Callable[[Path], None], read: Callable[[Path], T]) -> T:
    """Return what `read` makes of the entry of `key`, which `build` fills if it is missing or damaged.

    `build` fills a draft, which is renamed when it is complete and on the disk. So a killed process or a power cut
    leaves nothing that looks like a result, and two processes can build at the same time. A damaged entry is
    replaced as a whole: a process that has mapped its files keeps them.

    Args:
        cache: the folder of all entries.
        key: what the entry depends on; any value that JSON can write.
        build: fills the empty folder that it is given.
        read: opens the files in the folder that it is given.

    Raises:
        DataError: the disk is full or cannot be written.
    """
    final = cache / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    for _ in range(_TRIES):
        try:
            verification.verify(final)
            return read(final)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            if os.path.lexists(final):
                _warn_damaged(final, str(error) or type(error).__name__)
        try:
            _build(cache, final, build)
        except (OSError, StorageError) as error:
            raise DataError(explain(_cause(error), cache)) from error
    raise DataError(
        f'other processes keep changing the cache "{final}". Give each user another folder: set GENLAB_CACHE.'
    )


def _build(cache: Path, final: Path, build: Callable[[Path], None]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    draft.sweep(cache)
    with draft.locked(cache, final.name) as part:
        entry = part / "entry"
        entry.mkdir(mode=0o700)  # pictures may be private
        build(entry)
        verification.record(entry)
        _put(entry, final, part / "damaged")
    files.sync_folder(cache)


def keep(path: Path, data: bytes) -> None:
    """Write a file of the cache, with its hash, for `kept`; a line says so if the disk refuses."""
    try:
        with files.storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        files.replace(path, hashlib.sha256(data).digest() + data)
    except StorageError as error:
        LOG.warning("%s It will be computed again.", explain(_cause(error), path.parent.parent))


def kept(path: Path) -> bytes | None:
    """Return what `keep` wrote; None if it is missing or damaged."""
    try:
        content = files.read(path, _MOST)
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn_damaged(path, error.strerror or str(error))
        return None
    digest, data = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(data).digest() == digest:
        return data
    _warn_damaged(path, "its content has changed")
    return None


def _warn_damaged(path: Path, why: str) -> None:
    where = escaped(str(path))
    LOG.warning('the cache "%s" is damaged (%s) and is rebuilt', where, why)


def _put(entry: Path, final: Path, aside: Path) -> None:
    """Rename a complete entry to `final`, unless another process has put one there meanwhile."""
    if os.path.lexists(final):
        if verification.is_intact(final):
            return
        final.rename(aside)
    try:
        entry.rename(final)
    except OSError:
        if not verification.is_intact(final):  # else another process was faster, with the same result
            raise


def _cause(error: OSError | StorageError) -> OSError:
    cause = error if isinstance(error, OSError) else error.__cause__
    assert isinstance(cause, OSError)
    return cause


def explain(error: OSError, cache: Path) -> str:
    """Return why nothing could be written into the cache, and what to do."""
    advice = "Choose another folder with the environment variable GENLAB_CACHE"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f'the disk that holds the cache "{cache}" is full. {advice}, or free some space.'
    return f'the cache "{cache}" cannot be written: {error.strerror or error}. {advice}.'
