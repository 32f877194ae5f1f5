"""Lists the files of a folder or a zip, before any of them is decoded.

All files count, except dotfiles and files in dot-folders or in `__MACOSX`.
"""

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from genlab.core.text import printable
from genlab.data.dataset import Rejected
from genlab.data.stamp import stamp, too_new


class Entry(NamedTuple):
    """A file that may be a picture."""

    path: str  # relative to the source, "/" between folders; invalid UTF-8 as surrogates
    stamp: tuple[int, ...]  # changes with the content


@dataclass(frozen=True)
class Listing:
    """All files of a source, sorted by path; `rejected` are those that are refused without being opened."""

    place: str  # distinguishes this source from another one with equal entries
    entries: list[Entry]
    rejected: list[Rejected]
    open: Callable[[int], BinaryIO]  # by position in `entries`

    @property
    def total(self) -> int:
        """Number of files that were found."""
        return len(self.entries) + len(self.rejected)

    @property
    def newest(self) -> int:
        """When a file last changed, in nanoseconds; not of the members of a zip."""
        return max((entry.stamp[2] for entry in self.entries), default=0)

    def digest(self) -> str:
        """Return a hash of the entries and of their place."""
        digest = hashlib.sha256(os.fsencode(self.place))
        for entry in self.entries:
            digest.update(os.fsencode(f"\0{entry.path}\0{entry.stamp}"))
        return digest.hexdigest()


def hidden(name: str) -> bool:
    """Return whether files or folders of this name are ignored."""
    return name.startswith(".") or name == "__MACOSX"


def list_folder(root: Path) -> Listing:
    """Return the listing of `root` and its subfolders.

    Links are followed; a link to a folder that is read anyway is rejected, so that loops end. Only regular files
    are opened: a FIFO would block forever.
    """
    listing = _list_folder(root)
    return _list_folder(root) if too_new(listing.newest) else listing


def _list_folder(root: Path) -> Listing:
    files: list[Entry] = []
    rejected: list[Rejected] = []
    seen: set[tuple[int, int]] = set()
    folders: deque[str] = deque([""])  # real folders first, links to folders last
    while folders:
        folder = folders.popleft()
        try:
            about = (root / folder).stat()
            if (about.st_dev, about.st_ino) in seen:
                rejected.append(Rejected(printable(folder), "a link to a folder that is read already"))
                continue
            seen.add((about.st_dev, about.st_ino))
            with os.scandir(root / folder) as found:
                items = sorted((item for item in found if not hidden(item.name)), key=lambda item: item.name)
        except OSError as error:
            rejected.append(Rejected(printable(folder) or ".", f"cannot be read: {error.strerror}"))
            continue
        for item in items:
            _sort_in(item, f"{folder}/{item.name}" if folder else item.name, files, rejected, folders)
    files.sort()
    return Listing(str(root.resolve()), files, rejected, lambda at: (root / files[at].path).open("rb"))


def _sort_in(
    item: os.DirEntry[str], path: str, files: list[Entry], rejected: list[Rejected], folders: deque[str]
) -> None:
    try:
        about = item.stat()
    except OSError as error:
        kind = "a broken link or a loop of links" if item.is_symlink() else f"cannot be read: {error.strerror}"
        rejected.append(Rejected(printable(path), kind))
        return
    if stat.S_ISDIR(about.st_mode):
        if item.is_symlink():
            folders.append(path)
        else:
            folders.appendleft(path)
    elif stat.S_ISREG(about.st_mode):
        files.append(Entry(path, stamp(about)))
    else:
        rejected.append(Rejected(printable(path), f"not a file but {_KINDS[stat.S_IFMT(about.st_mode)]}"))


_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
