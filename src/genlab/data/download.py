"""Downloads public data sets and checks them before they are used."""

import hashlib
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from genlab.core.errors import DataError
from genlab.data.idx import read_bytes
from genlab.data.progress import bar

_SECONDS = 30.0  # without any data, after which a download fails


def fetch(url: str, sha256: Mapping[str, str], folder: Path, advice: str, progress: bool) -> None:
    """Download every file of `sha256`, gzipped, into `folder`; files that are there and intact are kept.

    Args:
        url: of the folder of the files `<file>.gz`, with the last slash.
        sha256: from file name without `.gz` to the sha256 (hex) of its decompressed content, which does not depend
            on how it was compressed.
        folder: created if needed.
        advice: the last sentence of an error: how to get the data without the download.
        progress: show a bar on a terminal.

    Raises:
        DataError: no connection, a wrong checksum, or a folder that cannot be written.
    """
    with bar(progress) as show:
        for file in show.track(sha256, description="download"):
            path = folder / f"{file}.gz"
            if path.is_file() and _has_digest(path, sha256[file]):
                continue
            part = path.with_suffix(".part.gz")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with urllib.request.urlopen(f"{url}{file}.gz", timeout=_SECONDS) as reply, part.open("wb") as copy:
                    shutil.copyfileobj(reply, copy)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise DataError(f"cannot download {url}{file}.gz: {error}. {advice}") from error
            if not _has_digest(part, sha256[file]):
                part.unlink()
                raise DataError(
                    f"{url}{file}.gz is not the published file: the sha256 of its content is not "
                    f"{sha256[file]}. {advice}"
                )
            part.replace(path)


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest() == sha256
    except DataError:  # not a complete gzip file
        return False
