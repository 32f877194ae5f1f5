"""Lists and reads the pictures in a zip, without extracting it to disk."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from genlab.core.errors import DataError
from genlab.core.text import printable
from genlab.data.dataset import Rejected
from genlab.data.decode import reason
from genlab.data.listing import Entry, Listing, hidden
from genlab.data.memory import Memory

_MiB = 2**20
MEMBER_LIMIT = 256 * _MiB  # bytes of one member when decompressed
RATIO_LIMIT = 200  # times its compressed size, far above that of any picture format
MEMBER_FLOOR, ARCHIVE_FLOOR = _MiB, 64 * _MiB  # up to these sizes the ratio is not checked
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_MEMBERS = Memory(MEMBER_LIMIT)  # of the members that all threads are reading


@contextmanager
def list_zip(path: Path) -> Iterator[Listing]:
    """Yield the listing of a zip, by the same rule as for a folder, while the zip is open.

    Members that are encrypted, compressed by an unknown method, replaced by a later one of the same name, or
    beyond the limits of this module are rejected. A member is read up to its declared size and its checksum is
    checked, so that a false size is noticed.

    Raises:
        DataError: the file is not an intact zip.
    """
    try:
        archive = zipfile.ZipFile(path)
    except NotImplementedError as error:
        raise DataError(
            f'"{path}" needs a newer version of the zip format ({error}), or is damaged. Unpack it and give the '
            "folder, or fetch it again."
        ) from error
    except Exception as error:  # for damaged files zipfile raises almost any type
        raise DataError(
            f'"{path}" is not an intact zip: {reason(error)}. Try `unzip -t` or fetch it again.'
        ) from error
    with archive:
        members: list[tuple[Entry, zipfile.ZipInfo]] = []
        rejected: list[Rejected] = []
        budget = max(ARCHIVE_FLOOR, RATIO_LIMIT * path.stat().st_size)
        names = [_name(info) for info in archive.infolist()]
        last = {name: at for at, name in enumerate(names)}
        for at, (name, info) in enumerate(zip(names, archive.infolist(), strict=True)):
            if not name or info.is_dir() or any(map(hidden, name.split("/"))):
                continue
            problem = _problem(info, budget) if last[name] == at else "replaced by a later member of the same name"
            if problem:
                rejected.append(Rejected(printable(name), problem))
            else:
                budget -= info.file_size
                members.append((Entry(name, (info.file_size, info.CRC)), info))
        members.sort(key=lambda member: member[0])

        def read(at: int) -> BinaryIO:
            return _Member(archive, members[at][1])

        # Sizes and checksums identify an archive, so that the cache still knows it after a move.
        yield Listing("zip", [entry for entry, _ in members], rejected, read)


class _Member(io.BytesIO):
    """The content of a member, which counts as memory in use until it is closed."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._held = ExitStack()
        with ExitStack() as held:
            held.enter_context(_MEMBERS.held(info.file_size))
            super().__init__(archive.read(info))
            self._held = held.pop_all()

    def close(self) -> None:
        super().close()
        self._held.close()


def _name(info: zipfile.ZipInfo) -> str:
    """Return the path of a member below the archive."""
    return "/".join(part for part in info.filename.split("/") if part not in ("", ".", ".."))


def _problem(info: zipfile.ZipInfo, budget: int) -> str | None:
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in _METHODS:
        return f"compressed by a method that Python cannot read ({info.compress_type})"
    if info.file_size > MEMBER_LIMIT:
        return f"zip bomb: declares {info.file_size} bytes, more than {MEMBER_LIMIT}"
    if info.file_size > max(MEMBER_FLOOR, RATIO_LIMIT * info.compress_size):
        return f"zip bomb: {info.file_size} bytes from {info.compress_size}, more than {RATIO_LIMIT} times"
    if info.file_size > budget:
        return f"zip bomb: the archive declares more than {RATIO_LIMIT} times its own size"
    return None
