"""How much memory a training takes at most: genlab against the textbook loop."""

import importlib.util
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from genlab.bench.cases import CASES, TEXTBOOK, Case, chosen, ours, pictures, theirs
from genlab.bench.measure import Scope
from genlab.bench.page import Row, Section
from genlab.core import device as devices

STEPS, MEGABYTE = 4, 1e6
METHOD = (
    f"What a process of its own takes at most in its first {STEPS} steps beyond what it had before networks were "
    "built: weights, optimizers, the average of the weights (which the textbook has not), slopes and all that "
    "lies between. On a GPU it is what torch has allocated there."
)


def measure(scope: Scope) -> Section:
    """Measure each case in the precisions that the device has units for, and as the textbook does."""
    if scope.device.type == "cpu" and importlib.util.find_spec("resource") is None:
        return Section("Memory", f"{sys.platform} does not say how much memory a process took at most.", [])
    return Section("Memory", METHOD, [row for case in chosen(CASES, scope) for row in _rows(case, scope.device)])


def _rows(case: Case, where: torch.device) -> list[Row]:
    names = (*devices.precisions(where), TEXTBOOK)
    found = {name: in_a_process(case, name, where) for name in names}  # once: it hardly varies
    most = found[TEXTBOOK]
    return [
        Row(f"{case.name}: {name}", found[name], "MB", most=None if name == TEXTBOOK else most) for name in names
    ]


def in_a_process(case: Case, name: str, where: torch.device) -> float:
    """Return `peak` of a process that was started for it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak, case, name, where).result()


def peak(case: Case, name: str, where: torch.device) -> float:
    """Return the megabytes that training a case takes at most, in this process, which has not trained before."""
    data, before = pictures(case), _now()
    if name == TEXTBOOK:
        theirs(case.recipe, data, where)(STEPS)
    else:
        with ours(case.recipe, data, where, devices.PRECISIONS[name]) as advance:
            advance(STEPS)
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated() / MEGABYTE
    return (highest() - before) / MEGABYTE


def _now() -> float:
    """Return how many bytes this process has in memory; on systems that do not say, the most that it had."""
    return _status("VmRSS") or highest()


def highest() -> float:
    """Return how many bytes this process had in memory at most.

    On Linux `getrusage` would count what the process had that this one was forked from.
    """
    import resource

    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> float:
    """Return a figure of Linux on this process in bytes; 0 elsewhere."""
    about = Path("/proc/self/status")
    lines = about.read_text().splitlines() if about.is_file() else []
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0.0)
