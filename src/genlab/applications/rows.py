"""Writes a table with a row of numbers for each example, as they come; a killed command goes on where it was.

Until the table is complete, its rows are in the folder `NAME.part` beside it: what they depend on, a line for each
row with its name, its class and what was noticed, and the numbers.
"""

import csv
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from genlab.core.errors import DataError, GenlabError, StorageError, UsageError
from genlab.core.files import replace, storage
from genlab.core.interrupt import first_kept, kept
from genlab.core.text import counted, printable
from genlab.core.warnings import LOG
from genlab.data.dataset import Rejected
from genlab.data.decode import reason

Numbers = npt.NDArray[np.float32]
TEXTS = ("file", "class", "verdict")  # columns of text
_CHUNK = 4096  # rows that are written at a time


@dataclass
class Rows:
    """The rows of a table that is being written."""

    path: Path  # .csv or .npz, or a folder of pictures
    columns: Sequence[str]
    part: Path
    names: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    notes: list[Mapping[str, str]] = field(default_factory=list)  # what was noticed about each, by kind

    def add(
        self,
        names: Sequence[str],
        labels: Sequence[str | None],
        values: Numbers,
        notes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Append rows: a name, a class or None, numbers (B, columns), and what was noticed, which is not written.

        Raises:
            StorageError: the disk refused.
        """
        notes = notes or [{}] * len(names)
        lines = "".join(f"{json.dumps(row)}\n" for row in zip(names, labels, notes, strict=True))
        numbers = np.ascontiguousarray(values, "<f4")
        if numbers.shape != (len(names), len(self.columns)):
            raise ValueError(f"{numbers.shape} numbers for {len(names)} rows of {len(self.columns)} columns")
        with storage(self.part):
            for file, data in (
                ("values", numbers.tobytes()),
                ("names", lines.encode()),
            ):
                with (self.part / file).open("ab") as opened:
                    opened.write(data)
        self.names += names
        self.labels += labels
        self.notes += notes

    def noted(self, kind: str) -> list[Rejected]:
        """Return what was noticed of a kind, by the names of the rows."""
        return [
            Rejected(name, note[kind]) for name, note in zip(self.names, self.notes, strict=True) if kind in note
        ]

    @property
    def values(self) -> Numbers:
        """The numbers of all rows (N, columns), mapped from the disk."""
        if not self.names:
            return np.zeros((0, len(self.columns)), np.float32)
        shape = (len(self.names), len(self.columns))
        return np.memmap(self.part / "values", "<f4", "r", shape=shape)

    def finish(self, extra: Mapping[str, Sequence[Any]] | None = None, **arrays: npt.ArrayLike) -> None:
        """Write the table, with columns of text `extra`, and remove what was kept until now.

        A CSV has the columns `file`, `class` if there are any, the extra ones and the numbers; an .npz the arrays
        `names`, `labels`, the extra ones, `values` (N, columns), `columns` and `arrays`.

        Raises:
            StorageError: the disk refused.
        """
        texts = {"class": self.labels} if any(label is not None for label in self.labels) else {}
        texts |= {name: list(values) for name, values in (extra or {}).items()}
        if self.path.suffix.lower() == ".npz":
            self.put(lambda file: self._npz(file, texts, arrays))
        else:
            self.put(lambda file: self._csv(file, texts))

    def remove(self) -> None:
        """Remove the rows.

        Raises:
            StorageError: the disk refused.
        """
        with storage(self.part):
            shutil.rmtree(self.part)

    def put(self, write: Callable[[IO[bytes]], None]) -> None:
        """Let `write` write the table in a form of its own, and remove what was kept until now.

        Raises:
            StorageError: the disk refused.
        """
        draft = self.part / "table"
        with storage(self.path), draft.open("wb") as file:
            write(file)
        with storage(self.path):
            draft.replace(self.path)
        self.remove()

    def _csv(self, file: IO[bytes], texts: Mapping[str, Sequence[Any]]) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        written, values = csv.writer(text), self.values
        written.writerow(["file", *texts, *self.columns])
        for start in range(0, len(values), _CHUNK):
            part = slice(start, start + _CHUNK)
            before = zip(self.names[part], *(column[part] for column in texts.values()), strict=True)
            written.writerows(
                [*row, *(f"{number:.7g}" for number in numbers)]
                for row, numbers in zip(before, values[part].tolist(), strict=True)
            )
        text.detach()

    def _npz(
        self, file: IO[bytes], texts: Mapping[str, Sequence[Any]], arrays: Mapping[str, npt.ArrayLike]
    ) -> None:
        small: dict[str, Any] = {"names": self.names, "columns": list(self.columns), **arrays}
        for name, column in texts.items():
            small["labels" if name == "class" else name] = ["" if value is None else value for value in column]
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            for name, array in small.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            with archive.open("values.npy", "w", force_zip64=True) as member:
                values = self.values
                shape = {"descr": "<f4", "fortran_order": False, "shape": values.shape}
                np.lib.format.write_array_header_2_0(member, shape)
                for start in range(0, len(values), _CHUNK):
                    member.write(np.ascontiguousarray(values[start : start + _CHUNK]).tobytes())


@dataclass(frozen=True)
class Table:
    """A table that was written by `Rows.finish`."""

    names: Sequence[str]
    labels: Sequence[str | None]
    columns: Sequence[str]
    values: Numbers  # (N, columns)

    def digest(self) -> str:
        """Return a hash of the rows and their names and classes."""
        words = json.dumps([list(self.names), list(self.labels)]).encode()
        return hashlib.sha256(words + np.ascontiguousarray(self.values, "<f4").tobytes()).hexdigest()


def latents_in(table: Table, wanted: int | None) -> Numbers:
    """Return the numbers of a table as latents (N, D), of which a model takes `wanted`, if that is known.

    Raises:
        UsageError: there are no rows, another number of latents, or NaN.
    """
    if wanted not in (None, found := len(table.columns)):
        raise UsageError(
            f"the table has {counted(found, 'number')} a row, and this model takes {wanted} latents. Give a table "
            "that genlab encode or genlab project wrote with this run."
        )
    if not table.names:
        raise UsageError("the table holds no rows. Give one with a row for each example.")
    finite = np.isfinite(table.values).all(1)
    if not finite.all():
        name = printable(table.names[int(finite.argmin())])
        raise UsageError(f'the latents of "{name}" hold NaN or infinity. Leave the row out, or mend it.')
    return table.values


def read_table(path: Path) -> Table:
    """Read a table of `Rows.finish`; of its columns of text only the names and the classes.

    Raises:
        DataError: the file is no such table, or damaged.
        StorageError: the file cannot be read.
    """
    try:
        with storage(path):
            return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)
    except (ValueError, KeyError, zipfile.BadZipFile, csv.Error) as error:
        why = reason(error).rstrip(".")
        raise DataError(
            f"{path} is no table that genlab wrote (genlab encode, project, score, …), or damaged: {why}."
        ) from error


def _read_npz(path: Path) -> Table:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz archive")
    with np.load(path, allow_pickle=False) as file:
        names = file["names"].tolist()
        labels = [label or None for label in file["labels"].tolist()] if "labels" in file else [None] * len(names)
        return Table(names, labels, file["columns"].tolist(), file["values"])


def _read_csv(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if header[:1] != ["file"]:
            raise ValueError('its first line has no column "file" in front')
        body = list(lines)
    if ragged := next((row for row in body if len(row) != len(header)), None):
        raise ValueError(f"a row has {len(ragged)} cells, and the first line {len(header)}")
    texts = [at for at, name in enumerate(header) if name in TEXTS]
    numbers = [at for at in range(len(header)) if at not in texts]
    values = np.array([[row[at] for at in numbers] for row in body], np.float32).reshape(len(body), len(numbers))
    at = header.index("class") if "class" in header else None
    labels = [None if at is None else row[at] or None for row in body]
    return Table([row[0] for row in body], labels, [header[at] for at in numbers], values)


@contextmanager
def rows(path: Path, columns: Sequence[str], request: Mapping[str, Any]) -> Iterator[Rows]:
    """Yield the rows of the table `path`: those that a killed command of the same `request` has left, or none.

    Args:
        path: .csv or .npz, or a folder of which there is a row for each picture.
        columns: names of the numbers.
        request: plain values that the rows depend on: the checkpoint, the pictures, the options.

    Raises:
        UsageError: what is left there is of another request.
        StorageError: the disk refused.
    """
    part = part_of(path)
    asked = json.dumps({"columns": list(columns), **request}, sort_keys=True, default=str)
    with storage(part):
        part.mkdir(parents=True, exist_ok=True)
        known = part / "request"
        if known.exists() and known.read_text("utf-8") != asked:
            raise UsageError(
                f"{part} is of another command that was interrupted. Run that one again to complete it, delete "
                "the folder, or choose another --out."
            )
        if not known.exists():
            replace(known, asked.encode())
        found = Rows(path, columns, part)
        _recover(found)
    if found.names:
        LOG.info("%s: going on after the first %d, which are there already", path, len(found.names))
    try:
        with kept(lambda: first_kept(found.names, path if path.is_dir() else part)):
            yield found
    except GenlabError as error:
        if not found.names and not isinstance(error, StorageError):
            shutil.rmtree(part, ignore_errors=True)  # nothing has been made
        raise


def part_of(path: Path) -> Path:
    """Return the folder that holds the rows of a table until it is complete."""
    return path.with_name(f"{path.name}.part")


def _recover(found: Rows) -> None:
    """Read the complete rows that are there, and cut off an incomplete one."""
    names, values = found.part / "names", found.part / "values"
    if not names.exists() or not values.exists():
        names.write_bytes(b"")
        values.write_bytes(b"")
        return
    each = 4 * len(found.columns)
    lines = names.read_bytes().split(b"\n")[:-1][: values.stat().st_size // each]
    for name, label, notes in map(json.loads, lines):
        found.names.append(name)
        found.labels.append(label)
        found.notes.append(notes)
    with names.open("r+b") as file:
        file.truncate(sum(len(line) + 1 for line in lines))
    with values.open("r+b") as file:
        file.truncate(each * len(lines))
