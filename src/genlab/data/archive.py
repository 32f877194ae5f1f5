"""Lists and reads the pictures in a zip, without extracting it to disk."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genlab.core.errors import DataError
from genlab.data.dataset import Rejected
from genlab.data.listing import Entry, Listing, hidden, printable

_MiB = 2**20
MEMBER_LIMIT = 256 * _MiB  # bytes of one member when decompressed
RATIO_LIMIT = 200  # times its compressed size, far above that of any picture format
MEMBER_FLOOR, ARCHIVE_FLOOR = _MiB, 64 * _MiB  # up to these sizes the ratio is not checked


@contextmanager
def list_zip(path: Path) -> Iterator[Listing]:
    """Yield the listing of a zip, by the same rule as for a folder, while the zip is open.

    Encrypted members, and members that would exceed the limits of this module, are rejected. A member is read up
    to its declared size and its checksum is checked, so that a false size is noticed.

    Raises:
        DataError: the file is not an intact zip.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f'"{path}" is not an intact zip: {error}. Try `unzip -t` or fetch it again.') from error
    with archive:
        members: list[tuple[Entry, zipfile.ZipInfo]] = []
        rejected: list[Rejected] = []
        budget = max(ARCHIVE_FLOOR, RATIO_LIMIT * path.stat().st_size)
        for info in archive.infolist():
            parts = [part for part in info.filename.split("/") if part not in ("", ".", "..")]
            if info.is_dir() or any(map(hidden, parts)):
                continue
            name = "/".join(parts)
            problem = _problem(info, budget)
            if problem:
                rejected.append(Rejected(printable(name), problem))
            else:
                budget -= info.file_size
                members.append((Entry(name, (info.file_size, info.CRC)), info))
        members.sort(key=lambda member: member[0])

        def read(at: int) -> BinaryIO:
            return io.BytesIO(archive.read(members[at][1]))

        # Sizes and checksums identify an archive, so that the cache still knows it after a move.
        yield Listing("zip", [entry for entry, _ in members], rejected, read)


def _problem(info: zipfile.ZipInfo, budget: int) -> str | None:
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.file_size > MEMBER_LIMIT:
        return f"zip bomb: declares {info.file_size} bytes, more than {MEMBER_LIMIT}"
    if info.file_size > max(MEMBER_FLOOR, RATIO_LIMIT * info.compress_size):
        return f"zip bomb: {info.file_size} bytes from {info.compress_size}, more than {RATIO_LIMIT} times"
    if info.file_size > budget:
        return f"zip bomb: the archive declares more than {RATIO_LIMIT} times its own size"
    return None
