"""Trains for a processor time of one core, whatever else the machine does, and goes on where it was broken off."""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

import genlab
from genlab.bench.cases import ours
from genlab.bench.memory import MEGABYTE, highest
from genlab.data.source import open_source
from genlab.recipes.resolve import Plan, resolve

PROBE = 1 / 40  # of the time, spent once more to see how many steps fit into it
TURN = 5  # steps between two looks at the clock
DONE = "finished"  # a file in the folder of a run that is over
RARELY: Mapping[str, Any] = {
    "preview_every": 10**6,
    "evaluate_every": 10**6,
    "checkpoint_every": 300,
    "extractor": "pixels",
}


Row: TypeAlias = dict[str, Any]  # a line of a file of results


@dataclass(frozen=True)
class Trained:
    """A run that is over."""

    folder: Path
    steps: int
    images_per_second: float
    megabytes: float  # what the process took at most


def train_for(minutes: float, preset: str, folder: Path, options: Mapping[str, Any]) -> Trained:
    """Train a preset for so many minutes of one core into `folder`, unless it is there.

    Some steps first say how many fit into the time, so that schedules come to their ends.
    """
    torch.set_num_threads(1)
    plan = resolve(preset, dict(options))
    if not (folder / DONE).exists():
        if (folder / "checkpoints" / "last").exists():
            progress = genlab.resume(folder, quiet=True).progress
        else:
            steps = round(60 * minutes * _steps_per_second(plan, 60 * minutes * PROBE))
            where = {"out": folder.parent, "name": folder.name, "steps": steps}
            progress = genlab.train(preset, quiet=True, **RARELY, **options, **where).progress
        done = {"steps": progress.step, "batches": progress.batches, "megabytes": highest() / MEGABYTE}
        (folder / DONE).write_text(json.dumps(done))
    done = json.loads((folder / DONE).read_text())
    images = done["batches"] * plan.recipe.batch
    return Trained(folder, done["steps"], images / (60 * minutes), done["megabytes"])


def work_off(work: Callable[..., Row], jobs: Sequence[tuple[Any, ...]], results: Path, workers: int) -> list[Row]:
    """Return the lines of a file, and those that `work` gives for each job, which are added to it one by one."""
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    fresh = multiprocessing.get_context("spawn")  # so that the memory of one job is not that of another
    with ProcessPoolExecutor(workers, fresh, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            rows.append(done.result())
            with results.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def known(results: Path, *names: str) -> set[tuple[Any, ...]]:
    """Return what the lines of a file have under these names."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {tuple(json.loads(line)[name] for name in names) for line in lines}


def _steps_per_second(plan: Plan, seconds: float) -> float:
    """Return how many steps a second of processor time is enough for, as found in so many seconds."""
    settings = plan.settings
    data = open_source(settings.data, size=settings.size, channels=settings.channels).train
    where, taken = torch.device("cpu"), 0
    with ours(plan.recipe, data, where, plan.dtype(where)) as advance:
        advance(TURN)  # what is loaded once is loaded here
        began = time.process_time()
        while (spent := time.process_time() - began) < seconds:
            advance(TURN)
            taken += TURN
    return taken / spent
