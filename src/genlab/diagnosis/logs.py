"""Reads logs of other programs: comma-separated, JSON lines, TensorBoard's event files, or printed text.

Columns are recognised by name, ignoring case and punctuation: `d_loss`, `Loss/D` and `errD` are all the
discriminator's loss.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from genlab.core.errors import GenlabError, UsageError, suggestion
from genlab.core.signals import ALIASES
from genlab.diagnosis.doctor import RULES
from genlab.diagnosis.history import History
from genlab.diagnosis.log_files import Row, rows_of

# Columns of steps and epochs; the aliases of signals are in the table of signals.
COLUMNS: Mapping[str, Sequence[str]] = {
    "step": (
        *("step", "steps", "iter", "iters", "iteration", "iterations", "globalstep", "batchesdone", "it", "kimg"),
    ),
    "epoch": ("epoch", "epochs", "ep"),
}
_OURS = {alias: name for name, aliases in {**COLUMNS, **ALIASES}.items() for alias in aliases}
# Other signals of rules are recognised only by genlab's own names.
RECOGNISED = list(dict.fromkeys([*COLUMNS, *ALIASES, *sorted({name for rule in RULES for name in rule.signals})]))


@dataclass(frozen=True)
class Log:
    """The signals that were read from a log."""

    history: History
    family: str | None
    recognised: Mapping[str, str]  # name in the log -> name of the signal
    ignored: Sequence[str]  # columns of numbers that were not recognised
    notes: Sequence[str]  # anything unusual about the file


def read_log(path: Path, mapping: Mapping[str, str] | None = None, family: str | None = None) -> Log:
    """Return the signals of a log.

    Args:
        path: a file, or a folder with TensorBoard's event files.
        mapping: from the name of a signal to the name of its column, for columns that would not be recognised.
        family: of the model, if it is known: an `nll` is the loss of a flow, but only a part of a VAE's loss.

    Raises:
        UsageError: no such file, or an unknown signal or column in `mapping`.
        GenlabError: no column of the log is recognised.
    """
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    notes: list[str] = []
    rows = list(rows_of(path, notes))
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    names = _recognise(columns, mapping or {}, {**_OURS, "nll": "loss"} if family == "flow" else _OURS)
    if not set(names.values()) - {"step", "epoch"}:
        shown = ", ".join(columns[:20]) or "nothing"
        raise GenlabError(
            f"no column of {path} is recognised. It has: {shown}. Name the columns of signals, for example "
            "--map discriminator_loss=NAME. Signals: " + ", ".join(RECOGNISED)
        )
    known = [(number, {names[n]: v for n, v in row.items() if n in names}) for number, row in rows]
    history = History(_in_order(known, notes))
    signals = set(names.values())
    ignored = [name for name in columns if name not in names]
    return Log(
        history, family or _family(signals), {n: ours for n, ours in names.items() if n != ours}, ignored, notes
    )


def _family(signals: Collection[str]) -> str | None:
    """Return the family of a model that reports such signals."""
    for name in ("diffusion", "flow"):
        if f"{name}_update_ratio" in signals:
            return name
    if not {"discriminator_loss", "generator_loss", "D(x)"}.isdisjoint(signals):
        return "gan"
    if "rate" in signals:
        return "vae"
    return None if {"distortion", "loss"}.isdisjoint(signals) else "autoencoder"


def _recognise(columns: Sequence[str], mapping: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Return the signal of each recognised column; of several columns for one signal, the first counts."""
    names: dict[str, str] = {}
    for ours, theirs in mapping.items():
        if ours not in RECOGNISED:
            raise UsageError(
                f'no signal "{ours}".{suggestion(ours, RECOGNISED)} Choices: {", ".join(RECOGNISED)}.'
            )
        if theirs not in columns:
            raise UsageError(f'no column "{theirs}".{suggestion(theirs, columns)} Choices: {", ".join(columns)}.')
        names[theirs] = ours
    for column in columns:
        plain = re.sub(r"[^a-z0-9]", "", column.lower())
        meaning = column if column in RECOGNISED else known.get(plain)
        if meaning and meaning not in names.values() and column not in names:
            names[column] = meaning
    return names


def _in_order(rows: Sequence[Row], notes: list[str]) -> list[dict[str, Any]]:
    """Return rows with increasing steps: their own, or line numbers if steps are missing or start again."""
    steps = [row.get("step") for _, row in rows]
    unnamed = sum(step is None or not math.isfinite(step) for step in steps)
    back = 0 if unnamed else sum(later < earlier for earlier, later in pairwise(steps))  # type: ignore[operator]
    if unnamed:
        whose = "no line names a" if unnamed == len(rows) else f"{unnamed} of {len(rows)} lines name no"
        notes.append(f"{whose} step; lines are counted instead")
    elif back and any("epoch" in row for _, row in rows):
        notes.append("steps start again in each epoch; lines are counted instead")
    else:
        if back:
            notes.append(f"{back} lines were out of order and have been sorted by step")
        return [dict(row) for _, row in rows]
    return [{**row, "step": number} for number, row in rows]
