"""Decodes a file of compressed pictures into a folder, under their names and in their sizes."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from genlab.applications.compress import Coder
from genlab.applications.glz import Block, Header, read_blocks, read_header
from genlab.applications.latent_code import Code
from genlab.core.errors import DataError, StorageError
from genlab.core.files import put, rename, replace, storage, sweep
from genlab.core.interrupt import kept
from genlab.core.modality import Modality
from genlab.core.pictures import png, resized, to_bytes
from genlab.data.originals import file_names, squashed_of
from genlab.data.progress import bar
from genlab.recipes.settings import CheckpointName
from genlab.training.checkpoint import digest, exists
from genlab.training.run_folder import RunFolder

PROGRESS = "progress.json"  # in the folder while it is being filled


@dataclass(frozen=True)
class Content:
    """What is in a file of compressed pictures."""

    header: Header
    files: list[str]  # where each picture is written
    squashed: int  # pictures whose aspect ratio is not the model's
    beyond: int  # latents that were moved into the code
    digest: str


def content_of(path: Path, modality: Modality) -> Content:
    """Read a file of compressed pictures to its end, without decoding any.

    Raises:
        DataError: it is no such file, damaged or truncated.
    """
    names, squashed, beyond, found = list[str](), 0, 0, hashlib.sha256()
    try:
        with path.open("rb") as file:
            header = read_header(file, path)
            found.update(header.packed())
            for block in read_blocks(file, path):
                names += block.names
                squashed += squashed_of(block.sizes, modality.shape)
                beyond += block.beyond
                found.update(json.dumps(block.names).encode() + block.codes)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    files = file_names([f"{int(name):06d}.png" if name.isdecimal() else name for name in names])
    return Content(header, files, squashed, beyond, found.hexdigest())


def checkpoint_of(path: Path, folder: RunFolder, asked: CheckpointName | None) -> CheckpointName:
    """Return which checkpoint of a run has compressed the pictures of a file; `asked` if it has to be this one.

    Raises:
        DataError: none has, or the file was not made by genlab compress.
    """
    with path.open("rb") as file:
        wanted = read_header(file, path).weights
    places = {name: folder.path / "checkpoints" / name for name in get_args(CheckpointName)}
    for name, place in places.items():
        if asked in (None, name) and exists(place) and bytes.fromhex(digest(place))[:16] == wanted:
            return cast("CheckpointName", name)
    raise DataError(
        f"{path} was compressed by other weights (hash {wanted.hex()}) than those of {folder.path}. Give the run "
        "and the checkpoint that compressed it; a run that was trained on has other weights."
    )


def decompress_each(coder: Coder, code: Code, path: Path, content: Content, into: Path, *, progress: bool) -> None:
    """Write the pictures of a file into the folder `into`, which a killed command may have begun.

    Until it is complete, the folder is called `NAME.part`.

    Raises:
        DataError: the codes of a block are impossible.
        StorageError: the disk refused.
    """
    part = into.with_name(f"{into.name}.part")
    there = _begun(part, content.digest)
    with path.open("rb") as file, bar(progress) as shown, kept(lambda: f"what is decoded is kept in {part}"):
        task, done = shown.add_task("decompressing", total=len(content.files)), 0
        read_header(file, path)
        for number, block in enumerate(read_blocks(file, path)):
            if number >= there:
                _write(coder, code, path, block, content.files[done : done + len(block.names)], part)
                _note(part, content.digest, number + 1)
            done += len(block.names)
            shown.update(task, completed=done)
    sweep(part)
    with storage(into):
        (part / PROGRESS).unlink()
        if into.exists():
            into.rmdir()
    rename(part, into)


def _write(coder: Coder, code: Code, path: Path, block: Block, files: list[str], part: Path) -> None:
    at = 0
    try:
        for pictures in coder.pictures(code, block):
            for picture in to_bytes(pictures):
                place, size = part / files[at], block.sizes[at]
                with storage(place):
                    place.parent.mkdir(parents=True, exist_ok=True)
                put(place, png(resized(picture, *size) if size else picture))
                at += 1
    except DataError as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _begun(part: Path, digest: str) -> int:
    """Return how many blocks a killed command has written into a folder; empty it if they are of another file."""
    try:
        known = json.loads((part / PROGRESS).read_text("utf-8"))
        if known["file"] == digest:
            return int(known["blocks"])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    with storage(part):
        if part.exists() and any(part.iterdir()) and not (part / PROGRESS).exists():
            raise StorageError(f"{part} holds other files. Choose another --out.")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    _note(part, digest, 0)
    return 0


def _note(part: Path, digest: str, blocks: int) -> None:
    replace(part / PROGRESS, json.dumps({"file": digest, "blocks": blocks}).encode())
