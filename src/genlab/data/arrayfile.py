"""Reads `.npy` and `.npz` files, whose headers are checked before their arrays are read."""

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from genlab.core.errors import DataError
from genlab.data.dataset import Array
from genlab.data.decode import reason
from genlab.data.unpacked import check_unpacked

_SUFFIX, _MARK = ".npy", b"\x93NUMPY"


@dataclass(frozen=True)
class Header:
    """What a file says about one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    length: int  # bytes in the file, with the header

    @property
    def bytes(self) -> int:
        """The bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Arrays:
    """The arrays of an open file."""

    path: Path
    headers: Mapping[str, Header]
    _open: Callable[[str], IO[bytes]]

    def read(self, name: str) -> Array:
        """Return an array.

        Raises:
            DataError: the file is damaged, holds objects, or holds much more than its size.
        """
        header = self.headers[name]
        check_unpacked(self.path, header.length)
        with _plain(self.path), self._open(name) as file:
            if header.dtype.hasobject:
                raise ValueError(f"{name} holds Python objects, which can run code when they are read")
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise ValueError(f"{name} has bytes after its {header.bytes}")
            return array


@contextmanager
def open_arrays(path: Path) -> Iterator[Arrays]:
    """Yield the arrays of an `.npz`, by name, or that of an `.npy`, which is called `images`.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    if path.suffix == _SUFFIX:
        with _plain(path), path.open("rb") as file:
            found = {"images": _header(file, "the file", path.stat().st_size)}
        yield Arrays(path, found, lambda _: path.open("rb"))
        return
    with _plain(path):
        archive = zipfile.ZipFile(path)
    with archive:
        with _plain(path):
            members, headers = {}, {}
            for info in archive.infolist():
                name = info.filename.removesuffix(_SUFFIX)
                if name in members:
                    raise ValueError(f"it has two arrays {name}")
                with archive.open(info) as member:
                    members[name], headers[name] = info, _header(member, name, info.file_size)
        yield Arrays(path, headers, lambda name: archive.open(members[name]))


def _header(file: IO[bytes], what: str, length: int) -> Header:
    """Return the header of an `.npy`; raises almost anything if it is damaged."""
    if file.read(len(_MARK)) != _MARK:
        raise ValueError(f"{what} is no array")
    if (read := _HEADERS.get(file.read(2))) is None:
        raise ValueError(f"{what} has an unknown version of the format")
    shape, _, dtype = read(file)
    header = Header(shape, dtype, length)
    if min(shape, default=0) < 0 or not dtype.itemsize or (header.bytes > length and not dtype.hasobject):
        raise ValueError(f"{what} declares {dtype} {shape}, but holds {length:,} bytes")
    return header


_HEADERS = {b"\1\0": np.lib.format.read_array_header_1_0, b"\2\0": np.lib.format.read_array_header_2_0}


@contextmanager
def _plain(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # for damaged files zipfile and NumPy raise almost any type
        kind = "an .npy of a plain array" if path.suffix == _SUFFIX else "an .npz of plain arrays"
        raise DataError(f'"{path}" is not {kind}: {reason(error)}') from error
