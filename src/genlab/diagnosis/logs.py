"""Logs that other programs wrote: comma-separated, JSON lines, TensorBoard's event files, or printed text.

Columns are recognised by name, whatever their capitals and punctuation: `d_loss`, `Loss/D` and `errD` are all the
critic's loss.
"""

import csv
import json
import math
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.diagnosis.history import History

MOST = 20_000  # lines that are read of a longer log, evenly spread; those with NaN or Inf all

# What we call a signal, and what others do: lower case, letters and digits only.
KNOWN: Mapping[str, Sequence[str]] = {
    "step": (
        "step",
        "steps",
        "iter",
        "iters",
        "iteration",
        "iterations",
        "globalstep",
        "batchesdone",
        "it",
        "kimg",
    ),
    "epoch": ("epoch", "epochs", "ep"),
    "critic_loss": (
        *("dloss", "lossd", "errd", "ld", "dlosstotal", "discloss", "lossdisc", "disloss", "lossdis"),
        *("discriminatorloss", "lossdiscriminator", "criticloss", "losscritic", "closs", "lossc", "derr"),
    ),
    "generator_loss": (
        *("gloss", "lossg", "errg", "lg", "glosstotal", "genloss", "lossgen", "generatorloss", "lossgenerator"),
        *("gerr",),
    ),
    "D(x)": ("dx", "dreal", "realprob", "dofx", "probreal", "dxmean"),
    "D(G(z))": ("dgz", "dgz1", "dfake", "fakeprob", "dofgz", "probfake"),
    "score_real": ("scorereal", "realscore", "realscores", "scoresreal", "realvalidity", "logitsreal"),
    "score_fake": ("scorefake", "fakescore", "fakescores", "scoresfake", "fakevalidity", "logitsfake"),
    "accuracy_real": ("accuracyreal", "realacc", "accreal", "drealacc", "realaccuracy"),
    "accuracy_fake": ("accuracyfake", "fakeacc", "accfake", "dfakeacc", "fakeaccuracy"),
    "generator_gradient_norm": ("generatorgradientnorm", "gradnormg", "ggradnorm", "gnorm", "generatorgradnorm"),
    "critic_gradient_norm": ("criticgradientnorm", "gradnormd", "dgradnorm", "dnorm", "discriminatorgradnorm"),
    "gradient_norm": ("gradientnorm", "gradnorm", "totalnorm"),
    "quality": (
        "fid",
        "fid50k",
        "fid50kfull",
        "metricsfid50kfull",
        "fid10k",
        "fid5k",
        "kid",
        "validfid",
        "testfid",
    ),
    "loss": ("loss", "trainloss", "totalloss", "losstotal", "trainingloss", "losstrain", "negelbo"),
    "held_out_loss": ("valloss", "validloss", "validationloss", "testloss", "lossval", "evalloss"),
    "distortion": (
        *("distortion", "recon", "reconloss", "reconstructionloss", "rec", "recloss", "lossrecon", "lossrec"),
        *("reconstruction", "nll", "mse", "mseloss", "bce", "bceloss"),
    ),
    "rate": ("rate", "kl", "kld", "klloss", "kldloss", "losskl", "losskld", "kldiv", "kldivergence"),
}
_OURS = {name: signal for signal, names in KNOWN.items() for name in names}
_PAIR = re.compile(r"([A-Za-z][\w()/. -]*?)\s*[:=]\s*(-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|nan|inf(?:inity)?))", re.I)


@dataclass(frozen=True)
class Log:
    """What could be read of a log."""

    history: History
    family: str | None
    recognised: Mapping[str, str]  # their name -> ours
    ignored: Sequence[str]  # columns of numbers that mean nothing to us
    notes: Sequence[str]  # what was odd about the file


def read_log(path: Path, mapping: Mapping[str, str] | None = None) -> Log:
    """Return the signals of a log.

    Args:
        path: a file, or a folder with TensorBoard's event files.
        mapping: our name of a signal to the name of its column, where that would not be recognised.

    Raises:
        UsageError: no such file, or a name in `mapping` that is none.
        GenlabError: nothing in it is a number over steps.
    """
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    notes: list[str] = []
    rows = list(_rows(path, notes))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    names = _recognise(columns, mapping or {})
    if not set(names.values()) - {"step", "epoch"}:
        shown = ", ".join(columns[:20]) or "nothing"
        raise GenlabError(
            f"no column of {path} is known here. It has: {shown}. Say which is which, for example "
            "--map critic_loss=NAME; ours are: " + ", ".join(KNOWN)
        )
    lines = _in_order([{names[n]: v for n, v in row.items() if n in names} for row in rows], notes)
    history = History(lines)
    signals = set(names.values())
    family = "gan" if signals & {"critic_loss", "generator_loss", "D(x)"} else "vae" if "rate" in signals else None
    if family is None and signals & {"distortion", "loss"}:
        family = "autoencoder"
    ignored = [name for name in columns if name not in names]
    return Log(history, family, {n: ours for n, ours in names.items() if n != ours}, ignored, notes)


def _recognise(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return our name for each column that has one; the first of several columns with one meaning counts."""
    names: dict[str, str] = {}
    for ours, theirs in mapping.items():
        if ours not in KNOWN:
            raise UsageError(f'no signal "{ours}".{suggestion(ours, KNOWN)} Choices: {", ".join(KNOWN)}.')
        if theirs not in columns:
            raise UsageError(f'no column "{theirs}".{suggestion(theirs, columns)} Choices: {", ".join(columns)}.')
        names[theirs] = ours
    for column in columns:
        plain = re.sub(r"[^a-z0-9]", "", column.lower())
        meaning = column if column in KNOWN else _OURS.get(plain)
        if meaning and meaning not in names.values() and column not in names:
            names[column] = meaning
    return names


def _in_order(rows: Sequence[dict[str, Any]], notes: list[str]) -> list[dict[str, Any]]:
    """Return rows with steps that rise: their own, or their numbers where these start again or are missing."""
    steps = [row.get("step") for row in rows]
    if any(step is None or not math.isfinite(step) for step in steps):
        known = sum(step is not None for step in steps)
        if known:
            notes.append(f"{len(rows) - known} of {len(rows)} lines name no step; lines are counted instead")
        return [{**row, "step": number} for number, row in enumerate(rows)]
    back = sum(later < earlier for earlier, later in pairwise(steps))  # type: ignore[operator]
    if back and any("epoch" in row for row in rows):
        notes.append("steps start again in each epoch; lines are counted instead")
        return [{**row, "step": number} for number, row in enumerate(rows)]
    if back:
        notes.append(f"{back} lines were out of order and have been sorted by step")
    return list(rows)


def _rows(path: Path, notes: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the numbers of each line by name."""
    if path.is_dir():
        files = sorted(path.rglob("*tfevents*"))
        if not files:
            raise UsageError(f"{path} is no run folder and holds no TensorBoard event files")
        for file in files:
            yield from _events(file)
        return
    if "tfevents" in path.name:
        yield from _events(path)
        return
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise GenlabError(f"cannot read {path}: {error}") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise GenlabError(f"{path} is empty")
    if lines[0].lstrip().startswith("{"):
        yield from _json_lines(_thinned(lines, notes), notes)
    elif _is_table(lines):
        yield from _table(lines[0], _thinned(lines[1:], notes))
    else:
        yield from _printed(_thinned(lines, notes))


def _thinned(lines: Sequence[str], notes: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return list(lines)
    every = -(-len(lines) // MOST)
    odd = re.compile(r"nan|inf", re.I)
    kept = [line for place, line in enumerate(lines) if place % every == 0 or odd.search(line)]
    notes.append(f"{len(lines):,} lines: every {every}th was read, and each with NaN or Inf")
    return kept


def _is_table(lines: Sequence[str]) -> bool:
    """Whether the first line names columns, and the next ones fill them."""
    head = re.split(r"[,;\t]", lines[0])
    if len(head) == 1:
        return len(lines) > 1 and _number(lines[0]) is None and _number(lines[1]) is not None
    return all(_number(cell) is None for cell in head) and not _PAIR.search(lines[0])


def _table(head: str, lines: Iterable[str]) -> Iterator[dict[str, float]]:
    separator = max(",;\t", key=head.count)
    (names,) = csv.reader([head], delimiter=separator)
    names = [name.strip() for name in names]
    for cells in csv.reader(lines, delimiter=separator):
        row = {n: value for n, cell in zip(names, cells, strict=False) if (value := _number(cell)) is not None}
        if row:
            yield row


def _json_lines(lines: Iterable[str], notes: list[str]) -> Iterator[dict[str, float]]:
    broken = 0
    for line in lines:
        try:
            values = json.loads(line)
        except ValueError:
            broken += 1
            continue
        if isinstance(values, dict):
            numbers = {
                str(n): v for n, v in _flat(values) if isinstance(v, int | float) and not isinstance(v, bool)
            }
            if numbers:
                yield numbers
    if broken:
        notes.append(f"{broken} lines are no JSON and were left out")


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value


def _printed(lines: Iterable[str]) -> Iterator[dict[str, float]]:
    """Read `[0/5][100/1583] Loss_D: 0.52 Loss_G: 3.1`, as training loops print it."""
    for line in lines:
        row = {name.strip(): value for name, text in _PAIR.findall(line) if (value := _number(text)) is not None}
        if row:
            yield row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _events(path: Path) -> Iterator[dict[str, float]]:
    """Read TensorBoard's records: length (8 bytes), its check (4), an Event message, its check (4)."""
    data, place = path.read_bytes(), 0
    records = []
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        if place + 16 + length > len(data):
            break  # the program that writes it has not finished this one
        records.append((place + 12, length))
        place += 16 + length
    if len(records) > 10 * MOST:
        records = records[:: -(-len(records) // (10 * MOST))]
    for start, length in records:
        step, values = 0, []
        for field, value in _message(data[start : start + length]):
            if field == 2 and isinstance(value, int):
                step = value
            elif field == 5 and isinstance(value, bytes):
                values += [part for inner, part in _message(value) if inner == 1 and isinstance(part, bytes)]
        for part in values:
            tag, number = "", None
            for inner, piece in _message(part):
                if inner == 1 and isinstance(piece, bytes):
                    tag = piece.decode(errors="replace")
                elif inner == 2 and isinstance(piece, float):
                    number = piece
                elif inner == 8 and isinstance(piece, bytes):
                    number = _tensor(piece)
            if number is not None:
                yield {"step": step, tag: number}


def _tensor(data: bytes) -> float | None:
    """Return the value of a TensorProto with one float."""
    for field, value in _message(data):
        if field == 4 and isinstance(value, bytes) and len(value) == 4:
            return float(struct.unpack("<f", value)[0])
        if field == 5 and isinstance(value, bytes) and len(value) >= 4:
            return float(struct.unpack("<f", value[:4])[0])
        if field == 5 and isinstance(value, float):
            return value
    return None


def _message(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield number and value of each field of a protocol buffer."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield field, value
        elif kind == 1:
            yield field, float(struct.unpack_from("<d", data, place)[0])
            place += 8
        elif kind == 2:
            length, place = _varint(data, place)
            yield field, data[place : place + length]
            place += length
        elif kind == 5:
            yield field, float(struct.unpack_from("<f", data, place)[0])
            place += 4
        else:
            return


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            break
    return value, place
