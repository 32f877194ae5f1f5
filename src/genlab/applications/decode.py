"""Examples of latents that were written to a table."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.rows import Table, latents_in
from genlab.applications.sample_folder import whole
from genlab.core.batch import at_once
from genlab.core.condition import fill
from genlab.core.contract import Decodes, Encodes, HasPrior, Samples
from genlab.core.device import device_of
from genlab.core.errors import UsageError, suggestion
from genlab.core.files import put, read, refuse_filled, replace, storage
from genlab.core.interrupt import kept
from genlab.core.modality import DataSpec
from genlab.core.pictures import png, to_bytes
from genlab.core.text import counted
from genlab.data.originals import file_names
from genlab.data.progress import bar

RECORD = "decoded.json"
MOST_BYTES = 2**16  # of the record


@dataclass(frozen=True)
class Codes:
    """Latents to decode, checked against a model."""

    names: Sequence[str]
    latents: Tensor  # (N, latent)
    labels: Tensor | None  # (N,) classes, if the model takes them
    note: str = ""  # where the classes are from
    classes: Sequence[str] | None = None  # (N,) names of the classes, if they are known


def codes_of(model: nn.Module, spec: DataSpec, table: Table) -> Codes:
    """Return the latents of a table for a model, with their classes if the model takes some.

    Raises:
        GenlabError: the model does not decode.
        UsageError: another number of latents than the model's, values that are not finite, or an unknown class.
    """
    need(model, Decodes, "genlab decode")
    latents = torch.from_numpy(latents_in(table, _size(model, spec)).copy())
    known = [label for label in table.labels if label is not None]
    given = known if len(known) == len(latents) else None
    if not isinstance(model, Samples) or "label" not in model.conditions:
        return Codes(table.names, latents, None, classes=given)
    if given is None:
        labels = fill(model.conditions, {}, len(latents), torch.device("cpu"))["label"]
        names = [spec.class_names[label] for label in labels.tolist()]
        return Codes(table.names, latents, labels, _without(len(latents) - len(known)), names)
    places = {name: at for at, name in enumerate(spec.class_names)}
    for label in given:
        if label not in places:
            choices = ", ".join(spec.class_names)
            raise UsageError(f'no class "{label}".{suggestion(label, spec.class_names)} Choices: {choices}.')
    labels = torch.tensor([places[label] for label in given])
    return Codes(table.names, latents, labels, "each row is decoded under its class", given)


def _without(count: int) -> str:
    return f"{counted(count, 'row')} without a class: all rows take the classes in turn"


def _size(model: nn.Module, spec: DataSpec) -> int | None:
    """Return the number of latents of an example, if the model tells."""
    if isinstance(model, HasPrior):
        return model.prior(1).flatten(1).shape[1]
    if isinstance(model, Encodes):
        return model.encode(torch.zeros(1, *spec.target.shape, device=device_of(model))).flatten(1).shape[1]
    return None


def decoded(
    model: nn.Module, codes: Codes, shape: Sequence[int], *, progress: bool
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the examples of the latents, as many at a time as fit into memory, with their rows.

    Raises:
        UsageError: a condition of the model that a table does not hold.
    """
    decodes, device, each = need(model, Decodes, "genlab decode"), device_of(model), at_once(shape)
    conditions = model.conditions if isinstance(model, Samples) else {}
    filled = fill(conditions, {} if codes.labels is None else {"label": codes.labels}, len(codes.names), device)
    with bar(progress) as shown:
        task = shown.add_task("decoding", total=len(codes.names))
        for start in range(0, len(codes.names), each):
            rows = slice(start, min(start + each, len(codes.names)))
            with torch.no_grad():
                given = {name: value[rows] for name, value in filled.items()}
                yield rows, decodes.decode(codes.latents[rows].to(device), given).cpu()
            shown.update(task, completed=rows.stop)


def request_of(codes: Codes, weights: str) -> dict[str, Any]:
    """Return what decoded pictures depend on, as plain values."""
    digest = hashlib.sha256(codes.latents.numpy().tobytes())
    digest.update(json.dumps([list(codes.names), codes.labels is not None and codes.labels.tolist()]).encode())
    return {"weights": weights, "latents": digest.hexdigest()}


def decode_into(
    model: nn.Module, codes: Codes, shape: Sequence[int], folder: Path, request: Mapping[str, Any]
) -> int:
    """Write a PNG for each row into a folder, named after it; return how many were there already.

    A folder that an interrupted command of the same `request` has left is completed.

    Raises:
        UsageError: the folder holds something else.
        StorageError: the disk refused.
    """
    _prepare(folder, request)
    files = [folder / name for name in file_names(codes.names)]
    missing = [at for at, file in enumerate(files) if not whole(file)]
    rest = torch.tensor(missing, dtype=torch.int64)
    labels = None if codes.labels is None else codes.labels[rest]
    part = Codes([codes.names[at] for at in missing], codes.latents[rest], labels)
    with kept(lambda: f"what is decoded is kept in {folder}"):
        for rows, pictures in decoded(model, part, shape, progress=True) if missing else ():
            for at, picture in zip(missing[rows], to_bytes(pictures), strict=True):
                with storage(files[at]):
                    files[at].parent.mkdir(parents=True, exist_ok=True)
                put(files[at], png(picture))
    return len(files) - len(missing)


def _prepare(folder: Path, request: Mapping[str, Any]) -> None:
    asked = json.dumps(request, sort_keys=True).encode()
    try:
        known = read(folder / RECORD, MOST_BYTES)
    except OSError:
        refuse_filled(folder)
    else:
        if known != asked:
            raise UsageError(f"{folder} holds pictures of other latents or weights. Choose another --out.")
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    replace(folder / RECORD, asked)
