"""The cache of decoded data: an entry is built once, and is either complete or absent."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genlab.core.errors import DataError

_STALE_SECONDS = 24 * 3600.0


def cache_folder() -> Path:
    """Return `$GENLAB_CACHE`, else `$XDG_CACHE_HOME/genlab`, else `~/.cache/genlab`."""
    if own := os.environ.get("GENLAB_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genlab"


def prepared(cache: Path, key: object, build: Callable[[Path], None]) -> Path:
    """Return the folder of `key` in the cache; if it is not there, let `build` fill it.

    `build` fills a temporary folder next to it, which is renamed when it is complete. So a killed process leaves
    nothing that looks like a result, and two processes can build at the same time.

    Args:
        cache: the folder of all entries.
        key: what the entry depends on; any value that JSON can write.
        build: fills the empty folder that it is given.

    Raises:
        DataError: the disk is full or cannot be written.
    """
    name = hashlib.sha256(json.dumps(key).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    final = cache / name
    if final.is_dir():
        return final
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        part = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".part", dir=cache))
        try:
            build(part)
            _rename(part, final)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise DataError(explain(error, cache)) from error
    return final


def _rename(part: Path, final: Path) -> None:
    try:
        part.rename(final)
    except OSError:
        if not final.is_dir():  # else another process was faster, with the same result
            raise


def _sweep(cache: Path) -> None:
    """Remove what processes left that were killed long ago."""
    for part in cache.glob("*.part"):
        with suppress(FileNotFoundError):  # another process may remove it too
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


def explain(error: OSError, cache: Path) -> str:
    """Return why nothing could be written into the cache, and what to do."""
    advice = "Choose another folder with the environment variable GENLAB_CACHE"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f'the disk that holds the cache "{cache}" is full. {advice}, or free some space.'
    return f'the cache "{cache}" cannot be written: {error.strerror or error}. {advice}.'
