"""The file format of compressed pictures, `.glz`; docs/using/compression.md describes it.

    header:  "GLZ\\x1a", version (1 byte), weights (16 bytes), scales (8 bytes), step (2 bytes), CRC-32 (4 bytes)
    block:   pictures, bytes of facts, bytes of codes, CRC-32 (4 bytes each); facts; codes
    end:     a block without pictures, whose facts count those of the file

All numbers are little-endian. Facts are JSON, deflated.
"""

import json
import shutil
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Any

from genlab.core.errors import DataError, UsageError
from genlab.core.files import rename, replace, storage, sync
from genlab.core.interrupt import first_kept, kept
from genlab.core.text import printable
from genlab.core.warnings import LOG

MAGIC, VERSION = b"GLZ\x1a", 1
HEADER, CHECKSUM, BLOCK = struct.Struct("<4sB16s8sH"), struct.Struct("<I"), struct.Struct("<IIII")
MOST_PICTURES, MOST_FACTS, MOST_CODES = 4096, 2**22, 2**28  # of a block; bytes of its parts
LONGEST, MOST_PIXELS = 4096, 2**27  # characters of a name; pixels of a picture
MOST_IN_FILE = 2**22  # pictures of a file, whose names are in memory while it is written or read

Size = tuple[int, int] | None


@dataclass(frozen=True)
class Header:
    """What a file was made with."""

    weights: bytes  # the first 16 bytes of the hash of the checkpoint
    scales: bytes  # 8 bytes of the hash of the scales
    step: int

    def packed(self) -> bytes:
        """Return the header as bytes."""
        data = HEADER.pack(MAGIC, VERSION, self.weights, self.scales, self.step)
        return data + CHECKSUM.pack(zlib.crc32(data))


@dataclass(frozen=True)
class Block:
    """Some pictures: their names, their own sizes, and their latents as bytes."""

    names: Sequence[str]
    sizes: Sequence[Size]  # height and width; None if they are those of the model
    codes: bytes
    beyond: int = 0  # latents that were moved into the code

    def packed(self) -> bytes:
        """Return the block as bytes."""
        first, same = self.names[0], len(set(self.sizes)) == 1
        counted = first.isdecimal() and list(self.names) == _counted(int(first), len(self.names))
        facts: dict[str, Any] = {"names": int(first) if counted else list(self.names)}
        facts |= {"sizes": self.sizes[:1] if same else list(self.sizes)} if any(self.sizes) else {}
        facts |= {"beyond": self.beyond} if self.beyond else {}
        return packed(len(self.names), facts, self.codes)


def packed(pictures: int, facts: Mapping[str, Any], codes: bytes) -> bytes:
    """Return a block as bytes."""
    text = zlib.compress(json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode(), 9)
    lengths = struct.pack("<III", pictures, len(text), len(codes))
    return BLOCK.pack(pictures, len(text), len(codes), zlib.crc32(lengths + text + codes)) + text + codes


def end(pictures: int) -> bytes:
    """Return the last block of a file of so many pictures as bytes."""
    return packed(0, {"pictures": pictures}, b"")


def read_header(file: IO[bytes], path: Path) -> Header:
    """Read the header of a file.

    Raises:
        DataError: it is no such file, damaged, or of a newer genlab.
    """
    data, checksum = file.read(HEADER.size), file.read(CHECKSUM.size)
    if data[:4] != MAGIC:
        raise DataError(f"{path} was not made by genlab compress.")
    if len(checksum) < CHECKSUM.size:
        raise DataError(f"{path} is truncated: it ends within its header.")
    _, version, weights, scales, step = HEADER.unpack(data)
    if version != VERSION:
        raise DataError(f"{path} has version {version} of the format; this genlab reads {VERSION}. Update genlab.")
    if CHECKSUM.unpack(checksum) != (zlib.crc32(data),) or step == 0:
        raise DataError(f"{path} is damaged: the checksum of its header is wrong.")
    return Header(weights, scales, step)


def read_blocks(file: IO[bytes], path: Path) -> Iterator[Block]:
    """Yield the blocks of a file after its header, and check each of them, and that none is missing.

    Raises:
        DataError: a block is damaged or missing.
    """
    pictures, number = 0, 0
    while True:
        number += 1
        try:
            count, facts, codes = _read_block(file)
            if not count:
                break
            block = _block(count, facts, codes)
        except (ValueError, struct.error, zlib.error, RecursionError) as error:
            where = f"block {number}, after {pictures:,} pictures"
            raise DataError(f"{path} is damaged or truncated at {where}: {printable(str(error))}.") from error
        pictures += count
        if pictures > MOST_IN_FILE:
            raise DataError(f"{path} has more than {MOST_IN_FILE:,} pictures, which genlab compress never writes.")
        yield block
    if facts.get("pictures") != pictures or file.read(1):
        raise DataError(f"{path} is damaged: it does not end after its {pictures:,} pictures.")


def _read_block(file: IO[bytes]) -> tuple[int, dict[str, Any], bytes]:
    lengths = file.read(BLOCK.size)
    if len(lengths) < BLOCK.size:
        raise ValueError("the file ends here")
    pictures, of_facts, of_codes, checksum = BLOCK.unpack(lengths)
    if pictures > MOST_PICTURES or of_facts > MOST_FACTS or of_codes > MOST_CODES:
        raise ValueError("its lengths are impossible")
    text, codes = file.read(of_facts), file.read(of_codes)
    if len(text) < of_facts or len(codes) < of_codes:
        raise ValueError("the file ends here")
    if zlib.crc32(lengths[:12] + text + codes) != checksum:
        raise ValueError("its checksum is wrong")
    facts = json.loads(_inflated(text))
    if not isinstance(facts, dict):
        raise ValueError("its facts are no table")
    return pictures, facts, codes


def _inflated(text: bytes) -> bytes:
    stream = zlib.decompressobj()
    data = stream.decompress(text, MOST_FACTS)
    if not stream.eof:
        raise ValueError("its facts are too long")
    return data


def _block(count: int, facts: Mapping[str, Any], codes: bytes) -> Block:
    names, sizes, beyond = facts.get("names"), facts.get("sizes", [None]), facts.get("beyond", 0)
    if isinstance(names, int):
        names = _counted(names, count)
    if not isinstance(names, list) or len(names) != count or not all(map(_is_name, names)):
        raise ValueError("its names are impossible")
    if not isinstance(sizes, list) or len(sizes) not in (1, count) or not all(map(_is_size, sizes)):
        raise ValueError("its sizes are impossible")
    if not isinstance(beyond, int):
        raise ValueError("its facts are impossible")
    sizes = sizes if len(sizes) == count else sizes * count
    return Block(names, [None if size is None else (size[0], size[1]) for size in sizes], codes, beyond)


def _counted(first: int, count: int) -> list[str]:
    return [str(number) for number in range(first, first + count)]


def _is_name(name: object) -> bool:
    """Return whether something is a relative path, here, that stays within its folder."""
    if not isinstance(name, str) or not name.isprintable() or len(name) > LONGEST:
        return False
    path = PurePath(name)
    return bool(path.name) and not path.anchor and ".." not in path.parts


def _is_size(size: object) -> bool:
    if size is None:
        return True
    whole = isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
    return whole and size[0] * size[1] <= MOST_PIXELS  # type: ignore[index]


@dataclass
class Writer:
    """A file that is being written, block by block."""

    path: Path
    part: Path
    names: list[str] = field(default_factory=list)

    def add(self, block: Block) -> None:
        """Append a block.

        Raises:
            StorageError: the disk refused.
        """
        with storage(self.part), (self.part / "data").open("ab") as file:
            file.write(block.packed())
        self.names += block.names

    def finish(self) -> None:
        """Complete the file and move it to its place.

        Raises:
            StorageError: the disk refused.
        """
        data = self.part / "data"
        with storage(data), data.open("ab") as file:
            file.write(end(len(self.names)))
        sync(data)
        rename(data, self.path)
        with storage(self.part):
            shutil.rmtree(self.part)


@contextmanager
def writer(path: Path, header: Header, request: Mapping[str, Any]) -> Iterator[Writer]:
    """Yield the file `path` to be written, with the blocks that a killed command of the same `request` has left.

    Raises:
        UsageError: what is left there is of another request.
        StorageError: the disk refused.
    """
    part = path.with_name(f"{path.name}.part")
    asked, known, data = json.dumps(request, sort_keys=True, default=str), part / "request", part / "data"
    with storage(part):
        part.mkdir(parents=True, exist_ok=True)
        if known.exists() and known.read_text("utf-8") != asked:
            raise UsageError(
                f"{part} holds the pictures of another command that was interrupted. Run that one again to "
                "complete it, delete the folder, or choose another --out."
            )
        if not known.exists() or not data.exists():
            data.write_bytes(header.packed())
            replace(known, asked.encode())
        found = Writer(path, part, _recovered(data))
    if found.names:
        LOG.info("%s: %d pictures were there already; going on", path, len(found.names))
    with kept(lambda: first_kept(found.names, part)):
        yield found


def _recovered(data: Path) -> list[str]:
    """Return the names in the complete blocks that are there, and cut off what follows them."""
    names: list[str] = []
    with data.open("r+b") as file:
        read_header(file, data)
        whole = file.tell()
        with suppress(DataError):
            for block in read_blocks(file, data):
                names += block.names
                whole = file.tell()
        file.truncate(whole)
    return names
