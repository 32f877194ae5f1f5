"""How speed scales with the number of threads and processes, the image size and the batch size."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch

from genlab.bench.cases import Case, ours, pictures
from genlab.bench.measure import Scope, Spread, interleaved, ratios, seconds, threads, wait
from genlab.bench.page import Row, Section
from genlab.core import device as devices

SIDES, BATCHES = (32, 64, 128), (16, 32, 64, 128, 256, 512)
LEAST_IMAGES = 128  # of a measurement
WARM, STEPS = 20, 100  # of a run in new processes; its history has a line every 20 steps
METHOD = (
    "The preset dcgan in colour, by default with batch 64 and 32 pixels, in the precision that `--precision auto` "
    "chooses here. Threads and processes compute on the same batch; processes are started by `torchrun`, each "
    f"with an equal part of the threads, and timed from step {WARM} to {WARM + STEPS} of a run on digits. Time "
    "per image is that of training on it once; `per pixel` is relative to 32 pixels, `of batch 64` to that batch."
)


def measure(scope: Scope) -> Section:
    """Time different numbers of threads and processes, image sizes and batch sizes."""
    rows = [*_threads(scope), *_processes(scope)] if scope.device.type == "cpu" else []
    return Section("Scaling", METHOD, [*rows, *_sides(scope), *_batches(scope)])


def _threads(scope: Scope) -> list[Row]:
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= torch.get_num_threads()]
    with _speed(Case("dcgan", 3, 32, {"batch_size": 64}), scope) as speed:

        def with_threads(count: int) -> float:
            with threads(count):
                return speed()

        found = interleaved({str(count): partial(with_threads, count) for count in counts}, scope.repeats)
    rows = [Row(f"threads: {count}", Spread.of(values), "images/s") for count, values in found.items()]
    return rows + [
        Row(f"threads: {count} to 1", ratios(found[count], found["1"]), "times") for count in list(found)[1:]
    ]


def _processes(scope: Scope) -> list[Row]:
    cores = torch.get_num_threads()
    if cores < 2:
        return []
    names = {1: f"1 process of {cores} threads", 2: f"2 processes of {cores // 2}"}
    found = interleaved(
        {name: partial(_run, count, cores // count) for count, name in names.items()}, max(1, scope.repeats // 2)
    )
    return [
        *(Row(name, Spread.of(values), "images/s") for name, values in found.items()),
        Row(f"{names[2]} to {names[1]}", ratios(found[names[2]], found[names[1]]), "times"),
    ]


def _run(processes: int, each: int) -> float:
    """Return the images per second of a run in `processes` processes with `each` threads, from its history."""
    with tempfile.TemporaryDirectory() as place:
        options: dict[str, object] = {
            "--data": "digits",
            "--size": 32,
            "--channels": 3,
            "--batch-size": 64,
            "--steps": WARM + STEPS,
        }
        options |= {"--root": place, "--device": "cpu"}
        rare = {f"--{what}-every": 10**6 for what in ("preview", "evaluate", "checkpoint")}
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            str(processes),
            "-m",
            "genlab",
        ]
        words = [str(word) for option in {**options, **rare}.items() for word in option]
        environment = {**os.environ, "OMP_NUM_THREADS": str(each)}
        subprocess.run([*launcher, "train", "dcgan", *words], check=True, env=environment, capture_output=True)
        lines = [json.loads(line) for line in Path(place, "dcgan", "history.jsonl").read_text().splitlines()]
    when = {line["step"]: line["seconds"] for line in lines}
    return 64 * STEPS / float(when[WARM + STEPS] - when[WARM])


def _sides(scope: Scope) -> list[Row]:
    cases = {f"{side} px": Case("dcgan", 3, side, {"batch_size": 64}) for side in SIDES}
    found = _milliseconds(cases, scope)
    rows = [Row(f"time per image, {name}", Spread.of(values), "ms") for name, values in found.items()]
    first, base = SIDES[0], found[f"{SIDES[0]} px"]
    for side in SIDES[1:]:
        pixels = (side / first) ** 2
        per_pixel = ratios([value / pixels for value in found[f"{side} px"]], base)
        rows.append(Row(f"per pixel, {side} px to {first} px", per_pixel, "times"))
    return rows


def _batches(scope: Scope) -> list[Row]:
    cases = {f"batch {batch}": Case("dcgan", 3, 32, {"batch_size": batch}) for batch in BATCHES}
    found = _milliseconds(cases, scope)
    rows = [Row(f"time per image, {name}", Spread.of(values), "ms") for name, values in found.items()]
    base = found["batch 64"]
    return rows + [
        Row(f"{name}, of batch 64", ratios(values, base), "times")
        for name, values in found.items()
        if name != "batch 64"
    ]


def _milliseconds(cases: Mapping[str, Case], scope: Scope) -> dict[str, list[float]]:
    """Return the milliseconds per training image of each case."""
    with ExitStack() as stack:
        speeds = {name: stack.enter_context(_speed(case, scope)) for name, case in cases.items()}
        found = interleaved(speeds, scope.repeats)
    return {name: [1000 / value for value in values] for name, values in found.items()}


@contextmanager
def _speed(case: Case, scope: Scope) -> Iterator[Callable[[], float]]:
    """Yield a function that measures the images per second of a case."""
    dtype = devices.precision("auto", scope.device)
    steps = max(1, LEAST_IMAGES // case.recipe.batch_size)
    with ours(case.recipe, pictures(case), scope.device, dtype) as advance:

        def whole() -> None:
            advance(steps)
            wait(scope.device)

        yield lambda: steps * case.recipe.batch_size / seconds(whole)
