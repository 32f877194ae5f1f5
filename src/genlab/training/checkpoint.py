"""Checkpoints on disk: written next to the old one, then swapped in; verified when read.

    checkpoints/last/  model.safetensors  training.safetensors  state.json  manifest.json

The manifest holds the length and sha256 of the other three and is written last: a folder with a manifest is
complete. No pickle is ever read or written. torch is imported only where tensors are read or written.
"""

import hashlib
import json
import operator
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError

from genlab.core import legacy
from genlab.core.errors import CheckpointError
from genlab.core.files import read, rename, storage, sync_folder, write
from genlab.training.lines import NUMBER, NUMBER_OR_NULL, WHOLE, WHOLE_OR_NULL, wrong
from genlab.version import __version__

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

SCHEMA = 3  # 2 flattens the last map of a DCGAN's features positions first; 3 has a discriminator, no critic
OLDEST = 2  # oldest schema that can be read; it is converted
MODEL, TRAINING, STATE, MANIFEST = "model.safetensors", "training.safetensors", "state.json", "manifest.json"
MOST = 1 << 20  # bytes of a manifest or a state
NOTHING: Mapping[str, Any] = {}
SHAPES = {  # of what a state may hold; every state has a step
    "step": WHOLE,
    "batches": WHOLE,
    "seconds": NUMBER,
    "best_value": NUMBER_OR_NULL,
    "best_step": WHOLE_OR_NULL,
}


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run at one step.

    `model` is the published model, and `about` says what it is. `training` is what else is needed to resume.
    `state` is plain JSON.
    """

    model: "Mapping[str, Tensor]"
    training: "Mapping[str, Tensor]"
    state: Mapping[str, Any]
    schema: int = SCHEMA
    about: Mapping[str, Any] = field(default_factory=dict)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `checkpoint` so that at every instant `folder` or a complete sibling of it can be loaded.

    Raises:
        StorageError: the disk refused; the previous checkpoint is whole.
    """
    contents = {
        MODEL: _pack(checkpoint.model, checkpoint.about),
        TRAINING: _pack(checkpoint.training),
        STATE: json.dumps(checkpoint.state, indent=1).encode(),
    }
    files = {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in contents.items()}
    manifest = {"schema": SCHEMA, "genlab": __version__, "files": files}
    contents[MANIFEST] = json.dumps(manifest, indent=1).encode()
    with _draft(folder) as draft:
        for name, data in contents.items():
            write(draft / name, data)


def link(source: Path, folder: Path) -> None:
    """Make `folder` a second name (hard links) of the checkpoint `source`; files are never changed in place.

    Raises:
        StorageError: the disk refused; the previous content of `folder` is whole.
    """
    with _draft(folder) as draft:
        for name in (MODEL, TRAINING, STATE, MANIFEST):
            try:
                os.link(source / name, draft / name)
            except OSError:  # a file system without hard links
                with storage(source / name):
                    data = read(source / name, (source / name).stat().st_size)
                write(draft / name, data)


def remove(folder: Path) -> None:
    """Remove a checkpoint, if it exists.

    Raises:
        StorageError: the disk refused.
    """
    with storage(folder):
        shutil.rmtree(folder, ignore_errors=True)


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and verify it against its manifest.

    Raises:
        CheckpointError: it does not exist, a file is missing, cut short or altered, a newer genlab wrote it, or a
            tensor is NaN or infinite.
    """
    return _retrying(_load, folder)


def load_state(folder: Path) -> Mapping[str, Any]:
    """Read and verify only the state of a checkpoint.

    Raises:
        CheckpointError: as `load`.
    """
    return _retrying(_load_state, folder)


def schema_of(folder: Path) -> int:
    """Return the schema of a checkpoint.

    Raises:
        CheckpointError: as `load`.
    """
    return _retrying(lambda place: _manifest(_readable(place))[0], folder)


def digest(folder: Path) -> str:
    """Return a hash (hex) of the contents of a checkpoint.

    Raises:
        CheckpointError: as `load`.
    """
    return _retrying(lambda place: hashlib.sha256(read(_readable(place) / MANIFEST, MOST)).hexdigest(), folder)


def exists(folder: Path) -> bool:
    """Whether `load` would find something at `folder`."""
    return folder.is_dir() or _complete(_new(folder)) or _complete(_old(folder))


def _retrying(read: Callable[[Path], T], folder: Path) -> T:
    """Return what `read` finds in a folder; read again if the run swaps in a new checkpoint meanwhile."""
    while True:
        before = _identity(folder)
        try:
            return read(folder)
        except CheckpointError:
            if _identity(folder) == before:
                raise


def _load(folder: Path) -> Checkpoint:
    folder = _readable(folder)
    schema, manifest = _manifest(folder)
    model, about = _tensors(folder / MODEL, schema, *manifest[MODEL])
    training, _ = _tensors(folder / TRAINING, schema, *manifest[TRAINING])
    return Checkpoint(model, training, _state(folder, manifest), schema, about)


def _tensors(path: Path, schema: int, length: int, digest: str) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Return the tensors of a file, and what its metadata say of them."""
    import safetensors.torch

    data = _verified(path, length, digest)
    tensors, about = _parse(path, safetensors.torch.load, data), _parse(path, _metadata, data)
    for name, tensor in tensors.items():
        _require_finite(path, name, tensor)
    if schema != SCHEMA:
        tensors = {legacy.tensor(name): tensor for name, tensor in tensors.items()}
    return tensors, about


def _metadata(data: bytes) -> dict[str, Any]:
    """Return what `_pack` was told about the tensors; nothing in a file of an older genlab."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about = json.loads(header.get("__metadata__", {}).get("genlab", "{}"))
    return about if isinstance(about, dict) else {}


def _require_finite(path: Path, name: str, tensor: "Tensor") -> None:
    import torch

    dtype = tensor.dtype  # genlab has no weights of one byte: `training/matching.py` refuses them
    if dtype.itemsize > 1 and (dtype.is_floating_point or dtype.is_complex) and not torch.isfinite(tensor).all():
        value = "NaN" if torch.isnan(tensor).any() else "Inf"
        raise CheckpointError(f"{path} has {value} in {name}, which genlab never saves. {_NOT_USED}")


def _load_state(folder: Path) -> Mapping[str, Any]:
    folder = _readable(folder)
    return _state(folder, _manifest(folder)[1])


def _state(folder: Path, manifest: Mapping[str, tuple[int, str]]) -> Mapping[str, Any]:
    state: Mapping[str, Any] = _parse(folder / STATE, json.loads, _verified(folder / STATE, *manifest[STATE]))
    there = state if isinstance(state, dict) else {}
    given = {name: shape for name, shape in SHAPES.items() if name == "step" or name in there}
    if why := wrong(state, given, "it"):
        raise CheckpointError(f"{folder / STATE} is not the state of a run: {why}. {_NOT_USED}")
    return state


def _verified(path: Path, length: int, digest: str) -> bytes:
    """Return a file's bytes, if they have the length and hash in the manifest."""
    try:
        found = path.stat().st_size
        if found != length:
            raise CheckpointError(f"{path} has {found} bytes instead of {length}. {_NOT_USED}")
        data = read(path, length)
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{path} was altered: its sha256 differs. {_NOT_USED}")
    return data


def _unreadable(path: Path, error: OSError | MemoryError) -> CheckpointError:
    """Return an error that says why a file of a checkpoint cannot be read."""
    if isinstance(error, FileNotFoundError):
        return CheckpointError(f"{path} is missing. {_NOT_USED}")
    why = error.strerror if isinstance(error, OSError) else "there is not enough memory for it"
    return CheckpointError(f"{path} cannot be read: {why}. {_NOT_USED}")


def recover(folder: Path) -> None:
    """Finish a swap that was interrupted at any point; afterwards only `folder` is left.

    Raises:
        StorageError: the disk refused.
    """
    new, old = _new(folder), _old(folder)
    if _complete(new):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            rename(folder, old)
        rename(new, folder)
    elif not folder.exists() and old.exists():
        rename(old, folder)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


_NOT_USED = "This checkpoint is not used. The other one of the run (best or last) may be intact."


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Yield an empty sibling of `folder` to fill, then swap it in."""
    draft = _new(folder)
    recover(folder)  # a stopped save may have left the only checkpoint there
    with storage(draft):
        draft.mkdir(parents=True)
    yield draft
    sync_folder(draft)
    recover(folder)


def _identity(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def _new(folder: Path) -> Path:
    return folder.with_name(folder.name + ".new")


def _old(folder: Path) -> Path:
    return folder.with_name(folder.name + ".old")


def _complete(folder: Path) -> bool:
    """Whether the manifest, which is written last, is complete."""
    try:
        json.loads(read(folder / MANIFEST, MOST))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _readable(folder: Path) -> Path:
    """Return `folder`, or its complete sibling that an interrupted swap left."""
    for candidate in (folder, _new(folder), _old(folder)):
        if candidate == folder and folder.is_dir():
            return folder
        if _complete(candidate):
            return candidate
    raise CheckpointError(
        f"no checkpoint at {folder}. A run writes its first one after --checkpoint-every steps or 5 minutes."
    )


def _manifest(folder: Path) -> tuple[int, dict[str, tuple[int, str]]]:
    """Return the schema, and length and sha256 of each file."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(read(path, MOST))
        if manifest["schema"] > SCHEMA:
            raise CheckpointError(
                f"{path} has schema {manifest['schema']}, written by genlab {manifest.get('genlab')}; this genlab "
                f"({__version__}) reads up to schema {SCHEMA}. Upgrade genlab to use it."
            )
        if manifest["schema"] < OLDEST:
            raise CheckpointError(
                f"{path} has schema {manifest['schema']}: an earlier genlab wrote it, and its convolutional "
                "networks order their weights differently: they would load, but be wrong. Train the model again."
            )
        entries = {name: manifest["files"][name] for name in (MODEL, TRAINING, STATE)}
        files = {name: (operator.index(entry["bytes"]), entry["sha256"]) for name, entry in entries.items()}
        if files[STATE][0] > MOST:
            raise CheckpointError(f"{folder / STATE} has more than {MOST:,} bytes. {_NOT_USED}")
        return manifest["schema"], files
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{path} is cut short or altered. {_NOT_USED}") from None


def _parse(path: Path, parse: Callable[[bytes], T], data: bytes) -> T:
    try:
        return parse(data)
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a valid {path.suffix[1:]} file: {error}. {_NOT_USED}") from None


def _pack(tensors: "Mapping[str, Tensor]", about: Mapping[str, Any] = NOTHING) -> bytes:
    """Return the bytes of a safetensors file. Its metadata is one entry, because several have no fixed order."""
    import safetensors.torch

    metadata = {"genlab": json.dumps(about, ensure_ascii=False)} if about else None
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
