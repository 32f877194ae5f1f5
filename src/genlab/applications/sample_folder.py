"""A folder of samples: a PNG for each, those of a class in a folder of its own, and a record of how they are made.

    OUT/samples.json  OUT/000000.png  OUT/000001.png …          or  OUT/shirt/000000.png  OUT/bag/000001.png …

The number of a file is the row of its noise. If the command is killed, the same command makes the files that are
missing or not whole.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.sample import chunks, stream
from genlab.core.condition import Condition
from genlab.core.errors import UsageError
from genlab.core.files import put, read, refuse_filled, replace, storage
from genlab.core.interrupt import kept
from genlab.core.pictures import png, to_bytes

RECORD = "samples.json"
MOST_BYTES = 2**24  # of a record
LONGEST = 80  # bytes of the name of a class that is taken as it is
END = b"IEND\xaeB`\x82"  # the last bytes of a whole PNG
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|__macosx|samples\.json)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class SampleFolder:
    """A folder of samples, and the folder in it of each class by its label; there are none without labels."""

    path: Path
    folders: Mapping[int, str]

    def place(self, row: int, turns: Condition) -> Path:
        """Return the file of the sample in a row, whose conditions `turns` gives in turn."""
        name = f"{row:06d}.png"
        if not self.folders:
            return self.path / name
        labels = turns["label"]
        return self.path / self.folders[int(labels[row % len(labels)])] / name

    def prepare(self, record: Mapping[str, Any], number: int) -> None:
        """Make the folder, or check that it holds some of the `number` samples that `record` describes.

        Raises:
            UsageError: it holds something else.
        """
        known = recorded(self.path)
        if known is None:
            refuse_other(self.path)
        else:
            had, known = known.pop("number", None), {**known}
            changed = [name for name in (*record, *known) if record.get(name) != known.get(name)]
            if changed:
                was, now = (json.dumps(values.get(changed[0]), ensure_ascii=False) for values in (known, record))
                raise UsageError(
                    f"{self.path} holds samples that were made in another way: {changed[0]} was {was} and is "
                    f"{now}. Choose a new --out, so that images are not mixed."
                )
            if not isinstance(had, int) or had > number:
                raise UsageError(
                    f"{self.path} is for {had} samples, more than --number {number}. Choose a new --out, or give "
                    f"--number {had} or more to continue."
                )
        with storage(self.path):
            for folder in {self.path / name for name in self.folders.values()} or {self.path}:
                folder.mkdir(parents=True, exist_ok=True)
        replace(self.path / RECORD, json.dumps({**record, "number": number}, indent=1).encode())

    def fill(
        self, model: nn.Module, number: int, seed: int, turns: Condition, chunk: int, *, progress: bool
    ) -> int:
        """Write those of `number` samples that are missing, each chunk as it is made; return how many were there.

        Raises:
            GenlabError: the model does not sample.
            StorageError: the disk refused.
        """
        parts, there = [], 0
        for rows in chunks(number, chunk):
            missing = [row for row in rows if not whole(self.place(row, turns))]
            there += len(rows) - len(missing)
            parts += [rows] if missing else []
        with kept(lambda: f"what is made is kept in {self.path}"):
            for rows, _, samples in stream(model, parts, seed, turns, progress=progress):
                for row, picture in zip(rows, to_bytes(samples), strict=True):
                    put(self.place(row, turns), png(picture))
        return there

    def first(self, number: int, turns: Condition) -> Tensor:
        """Return the first samples as they were written, (number, C, H, W) in [-1, 1]."""
        from PIL import Image

        found = []
        for row in range(number):
            with Image.open(self.place(row, turns)) as picture:
                array = np.asarray(picture)
            found.append(torch.from_numpy(array.reshape(*array.shape[:2], -1).copy()).permute(2, 0, 1))
        return torch.stack(found).float() / 127.5 - 1


def whole(path: Path) -> bool:
    """Return whether there is a PNG that was written to its end."""
    try:
        with path.open("rb") as file:
            file.seek(-len(END), os.SEEK_END)
            return file.read() == END
    except OSError:
        return False


def record_of(
    model: nn.Module, step: int, seed: int, turns: Condition, names: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the samples of a folder depend on, as plain values: weights, seed, conditions, options."""
    labels = [names[label] for label in turns["label"].tolist()] if "label" in turns else None
    others = {name: _digest(value) for name, value in turns.items() if name != "label"}
    weights = _digest(*model.state_dict().values())
    return {"step": step, "weights": weights, "seed": seed, "classes": labels, **others, **options}


def _digest(*tensors: Tensor) -> str:
    """Return a hash of the bytes of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def recorded(folder: Path) -> dict[str, Any] | None:
    """Return the record of a folder of samples; None if it is not one."""
    try:
        values = json.loads(read(folder / RECORD, MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def refuse_other(folder: Path) -> None:
    """Refuse a folder that holds something else than samples.

    Raises:
        UsageError: it is not empty, and has no record.
        StorageError: it cannot be read.
    """
    if recorded(folder) is None:
        refuse_filled(folder)


def class_folders(names: Sequence[str]) -> list[str]:
    """Return a folder for each class: its name if every system takes it, else `class-3-` and its safe letters."""
    taken: set[str] = set()
    folders = []
    for number, name in enumerate(names):
        folder = name
        if not _safe(name) or name.casefold() in taken:
            folder = "-".join(["class", str(number), *re.findall("[A-Za-z0-9]+", name)])[:LONGEST]
        while folder.casefold() in taken:
            folder += "-"
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def _safe(name: str) -> bool:
    """Return whether a folder of this name can be made everywhere, and is read as a class."""
    return (
        name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
        and bool(name)
        and name[0] not in ". "
        and name[-1] not in ". "
        and len(name.encode(errors="replace")) <= LONGEST
        and not RESERVED.fullmatch(name)
    )
