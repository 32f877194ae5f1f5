"""Trains for a processor time of one core, whatever else the machine does, and goes on where it was broken off."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import genlab
from genlab.bench.memory import MEGABYTE, highest

PROBE = 1 / 40  # of the time, spent once more to see how many steps fit into it
DONE = "finished"  # a file in the folder of a run that is over
RARELY: Mapping[str, Any] = {
    "preview_every": 10**6,
    "evaluate_every": 10**6,
    "checkpoint_every": 300,
    "extractor": "pixels",
}


@dataclass(frozen=True)
class Trained:
    """A run that is over."""

    folder: Path
    steps: int
    batches_per_second: float
    megabytes: float  # what the process took at most


def train_for(minutes: float, preset: str, folder: Path, options: Mapping[str, Any]) -> Trained:
    """Train a preset for so many minutes of one core into `folder`, unless it is there.

    A short run first says how many steps fit into the time, so that schedules come to their ends.
    """
    torch.set_num_threads(1)
    probe = folder.with_name(f"{folder.name}-probe")
    if not (probe / DONE).exists():
        # Of three short runs the first loads what is loaded once, and the second says what is not of the steps.
        _cost(preset, folder.with_name(f"{folder.name}-warm"), options, steps=2)
        first = _cost(preset, folder.with_name(f"{folder.name}-short"), options, steps=2)
        second = _cost(preset, probe, options, minutes=minutes * PROBE, steps=10**6)
        steps, batches, seconds = (after - before for after, before in zip(second, first, strict=True))
        (probe / DONE).write_text(json.dumps({"steps": steps / seconds, "batches": batches / seconds}))
    speed = json.loads((probe / DONE).read_text())
    if not (folder / DONE).exists():
        _train(preset, folder, options, steps=round(60 * minutes * speed["steps"]))
        (folder / DONE).write_text(json.dumps({"megabytes": highest() / MEGABYTE}))
    megabytes = json.loads((folder / DONE).read_text())["megabytes"]
    return Trained(folder, round(60 * minutes * speed["steps"]), speed["batches"], megabytes)


def _cost(preset: str, folder: Path, options: Mapping[str, Any], **length: float) -> tuple[float, float, float]:
    """Return how many steps and batches a run has, and what processor time it took with all around it."""
    began = time.process_time()
    progress = _train(preset, folder, options, **length)
    return progress.step, progress.batches, time.process_time() - began


def _train(preset: str, folder: Path, options: Mapping[str, Any], **length: float) -> Any:  # noqa: ANN401 (how far)
    """Train, or go on where a run was broken off."""
    if (folder / "checkpoints" / "last").exists():
        return genlab.resume(folder, quiet=True).progress
    where = {"out": folder.parent, "name": folder.name, "quiet": True}
    return genlab.train(preset, **{**RARELY, **options, **where, **length}).progress
