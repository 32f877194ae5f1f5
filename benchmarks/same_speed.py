"""Times training with two checkouts of genlab in turns, so that a busy machine slows both equally.

    python benchmarks/same_speed.py --before CHECKOUT [--after CHECKOUT] [--only PRESET …] [--pairs 11]
        [--threads 1] [--seconds 0.5]

Each checkout has its own process for the whole measurement. In each pair one takes a block of steps and then the
other; every second pair starts with the later checkout. Each times its own block, in wall-clock time and in
processor time of all threads, which a busy machine affects less. A ratio is after / before of the same pair: below
1 the later checkout is faster. Steps are those of `fit` on digits of 32 pixels in float32, including loader and
average of the weights.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Self

import torch

from same_bits import check_import, environment, spelled

SIDE = 32
CASES: Mapping[str, Mapping[str, Any]] = {
    "dcgan": {},
    "vae": {},
    "glow": {"width": 64, "flow_steps": 8, "batch": 16},
    "ddpm": {"width": 32, "batch": 16},
}
WARM = 2  # warm-up steps


def training_of(preset: str, stack: ExitStack) -> Callable[[int], object]:
    """Return a function that takes a number of steps of a preset; `stack` closes it.

    Both checkouts must have the names used here and in `spelled`; if one has others, handle the difference here.
    """
    from genlab.bench.cases import ours
    from genlab.data.source import open_source
    from genlab.recipes.presets import PRESETS

    recipe = dataclasses.replace(PRESETS[preset], **spelled(preset, CASES[preset]))
    data = open_source("digits", size=SIDE).train
    return stack.enter_context(ours(recipe, data, torch.device("cpu"), torch.float32))


def work(threads: int) -> None:
    """Obey the lines of standard input: a name starts a preset, a number times that many steps."""
    check_import()
    torch.set_num_threads(threads)
    with ExitStack() as stack:
        for line in sys.stdin:
            asked = json.loads(line)
            if isinstance(asked, str):
                stack.close()
                advance = training_of(asked, stack)
                asked = WARM
            wall, processor = time.perf_counter(), time.process_time()
            advance(asked)
            print(json.dumps([time.perf_counter() - wall, time.process_time() - processor]), flush=True)


class Worker:
    """A process that trains with one checkout on request."""

    def __init__(self, checkout: Path, threads: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", "--threads", str(threads)],
            env=environment(checkout, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str | int) -> tuple[float, float]:
        """Start a preset (a name) or take steps (a number); return wall-clock and processor seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a worker ended before it answered; see above")
        wall, processor = json.loads(answer)
        return wall, processor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()


def measure(preset: str, before: Worker, after: Worker, pairs: int, seconds: float) -> str:
    """Return the line of a preset: the earlier checkout's time per step, then the ratios."""
    for worker in (before, after):
        worker.ask(preset)
    steps = max(1, round(seconds / before.ask(1)[1]))
    taken: dict[Worker, list[tuple[float, float]]] = {before: [], after: []}
    for turn in range(pairs):
        for worker in (before, after)[:: -1 if turn % 2 else 1]:
            taken[worker].append(worker.ask(steps))
    figures = [f"{preset:8}", f"{1000 * median(processor for _, processor in taken[before]) / steps:8.1f} ms"]
    for kind in range(2):
        ratios = [b[kind] / a[kind] for a, b in zip(taken[before], taken[after], strict=True)]
        figures.append(f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    return "  ".join([*figures, f"{steps:4} steps x {pairs} pairs"])


def main(arguments: Sequence[str]) -> None:
    """Time each preset with both checkouts and print a line for it."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/same_speed.py", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="the earlier checkout")
    parser.add_argument(
        "--after", type=Path, metavar="CHECKOUT", default=Path(), help="the later one; by default ."
    )
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="PRESET", help="presets")
    parser.add_argument("--pairs", type=int, default=11, help="blocks of steps for each checkout; by default 11")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; by default 1")
    parser.add_argument("--seconds", type=float, default=0.5, help="processor time of a block; by default 0.5")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)  # how the script calls itself
    options = parser.parse_args(arguments)
    if options.work:
        work(options.threads)
        return
    if options.before is None:
        parser.error("--before is needed")
    with Worker(options.before, options.threads) as before, Worker(options.after, options.threads) as after:
        print("preset      CPU/step  wall-clock ratio         processor-time ratio")
        for preset in options.only:
            print(measure(preset, before, after, options.pairs, options.seconds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
