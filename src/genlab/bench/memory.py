"""The peak memory of training: genlab compared with the textbook loop."""

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
    f"The peak memory of a new process in its first {STEPS} steps, minus what it had before it built the "
    "networks: weights, optimizers, averaged weights (which the textbook loop lacks), gradients and activations. "
    "On a GPU it is the memory that torch allocated there."
)


def measure(scope: Scope) -> Section:
    """Measure each case in the precisions that the device has units for, and the textbook loop."""
    if scope.device.type == "cpu" and importlib.util.find_spec("resource") is None:
        return Section("Memory", f"{sys.platform} does not report the peak memory of a process.", [])
    return Section("Memory", METHOD, [row for case in chosen(CASES, scope) for row in _rows(case, scope.device)])


def _rows(case: Case, where: torch.device) -> list[Row]:
    names = (*devices.precisions(where), TEXTBOOK)
    found = {name: in_a_process(case, name, where) for name in names}  # once: it hardly varies
    most = found[TEXTBOOK]
    return [
        Row(f"{case.name}: {name}", found[name], "MB", most=None if name == TEXTBOOK else most) for name in names
    ]


def in_a_process(case: Case, name: str, where: torch.device) -> float:
    """Return `peak`, computed in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak, case, name, where).result()


def peak(case: Case, name: str, where: torch.device) -> float:
    """Return the peak memory of training a case in this process, which has not trained before, in megabytes."""
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
    """Return the memory of this process in bytes; on systems that do not report it, its peak so far."""
    return _status("VmRSS") or highest()


def highest() -> float:
    """Return the peak memory of this process in bytes.

    On Linux `getrusage` is not used, because it includes the peak of the parent process before the fork.
    """
    import resource

    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> float:
    """Return a value of Linux's /proc/self/status in bytes; 0 on other systems."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0.0)
