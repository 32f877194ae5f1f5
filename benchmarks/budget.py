"""Trains for a given processor time of one core, and continues runs that were interrupted."""

import datetime
import json
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

import genlab
from genlab.bench import page
from genlab.bench.cases import ours
from genlab.bench.memory import MEGABYTE, highest
from genlab.core.device import precision
from genlab.core.errors import UsageError
from genlab.data.dataset import Split
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import Plan, resolve
from genlab.runs.data import open_data
from genlab.runs.phases import phases_of

PROBE = 1 / 40  # fraction of the time that is spent before to measure how many steps fit into it
TURN = 5  # steps between two readings of the clock
DONE = "finished"  # a file in the folder of a finished run
RARELY: Mapping[str, Any] = {
    "preview_every": 10**6,
    "evaluate_every": 10**6,
    "checkpoint_every": 300,
    "extractor": "pixels",
    "device": "cpu",
}


Line: TypeAlias = dict[str, Any]  # a line of a file of results


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    folder: Path
    steps: int
    images: int  # that it was trained on, with repetitions
    megabytes: float  # peak memory of the process


def train_for(
    minutes: float, preset: str, folder: Path, options: Mapping[str, Any], steps: int | None = None
) -> Trained:
    """Train a preset for some minutes of one core into `folder`, unless it is finished already.

    A short run first measures how many steps fit into the time, so that schedules are completed; unless `steps` is
    given.

    Raises:
        UsageError: the finished run had other minutes.
    """
    torch.set_num_threads(1)
    plan = resolve(preset, dict(options))
    if not (folder / DONE).exists():
        if (folder / "checkpoints" / "last").exists():
            progress = genlab.resume(folder, quiet=True).progress
        else:
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was interrupted before its first checkpoint
            steps = steps or round(60 * minutes * _steps_per_second(plan, 60 * minutes * PROBE))
            where = {"root": folder.parent, "name": folder.name, "steps": steps}
            progress = genlab.train(preset, quiet=True, **RARELY, **options, **where).progress
        done = {"minutes": minutes, "steps": progress.step, "batches": progress.batches}
        done["megabytes"] = highest() / MEGABYTE
        (folder / DONE).write_text(json.dumps(done))
    done = json.loads((folder / DONE).read_text())
    if done["minutes"] != minutes:
        raise UsageError(
            f"{folder} is a run of {done['minutes']:g} minutes, and {minutes:g} are asked for. Use another --runs."
        )
    return Trained(folder, done["steps"], done["batches"] * plan.recipe.batch_size, done["megabytes"])


def work_off(
    work: Callable[..., Line], jobs: Sequence[tuple[Any, ...]], results: Path, workers: int
) -> list[Line]:
    """Run `work` for each job, append each result to the file `results`, and return all its lines.

    Each line holds the date and the machine of its measurement. If a job fails, the others continue.

    Raises:
        ExceptionGroup: all jobs that failed, raised when the others are finished.
    """
    rows, failed = lines(results), []
    fresh = multiprocessing.get_context("spawn")  # a new process for each job, so that its peak memory is its own
    with ProcessPoolExecutor(workers, fresh, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            if error := done.exception():
                print(f"failed: {error!r}", file=sys.stderr, flush=True)
                failed.append(error)
                continue
            rows.append({**done.result(), **here()})
            with results.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(jobs)} jobs failed", failed)
    return rows


def lines(results: Path) -> list[Line]:
    """Return the lines of a file of results; none if it does not exist."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def here() -> dict[str, str]:
    """Return the date, the machine with the data type of its products, and the version of torch, for a line."""
    kind = str(precision("auto", torch.device("cpu"))).removeprefix("torch.")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{page.machine()['processor']}, one core, {kind}",
        "torch": torch.__version__,
    }


def about(rows: Sequence[Line]) -> dict[str, str]:
    """Return when and on which machines lines were measured, in their order."""
    found = {name: list(dict.fromkeys(row[name] for row in rows)) for name in here()}
    return {name: "; ".join(values) for name, values in found.items()}


def _steps_per_second(plan: Plan, seconds: float) -> float:
    """Return the steps per second of processor time, measured for some seconds, over all phases of a run."""
    data = open_data(plan.settings, recipe=plan.recipe, quiet=True).train
    phases, begun, each = phases_of(plan.recipe, data.spec), 0, 0.0
    for phase in phases:
        share = (phase.steps - begun) / plan.recipe.steps
        each += share / _rate(phase.recipe, data, plan, seconds / len(phases))
        begun = phase.steps
    return 1 / each


def _rate(recipe: Recipe, data: Split, plan: Plan, seconds: float) -> float:
    """Return the steps per second of one phase."""
    where, taken = torch.device("cpu"), 0
    with ours(recipe, data, where, plan.dtype(where)) as advance:
        advance(TURN)  # warm-up
        began = time.process_time()
        while (spent := time.process_time() - began) < seconds:
            advance(TURN)
            taken += TURN
    return taken / spent
