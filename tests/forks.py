"""Processes forked from one that has imported all that a run needs: 0.1 s each, a new interpreter takes 3 s."""

import multiprocessing
import sys
from collections.abc import Callable
from unittest import mock

import torch
import torch.multiprocessing as mp

from genlab.training import report

FORKS = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
FORKS.set_forkserver_preload(
    [
        "genlab.cli.app",
        "genlab.runs.train",
        "genlab.families.autoencoder",
        "genlab.families.gan",
        "genlab.families.vae",
        "PIL.PngImagePlugin",
        "sklearn.datasets",
        "torch._dynamo",
        "torch.multiprocessing",
        "unittest.mock",
        "pytest",
    ]
)


def in_processes(count: int, work: Callable[..., None], *arguments: object) -> None:
    """Call `work(rank, *arguments)` in `count` processes; what one of them raises is raised here."""
    mp.start_processes(work, arguments, nprocs=count, start_method=FORKS.get_start_method())


def prepare() -> None:
    """Let this process, which was forked for a test, compute in one thread and draw no curves."""
    torch.set_num_threads(1)
    mock.patch.object(report, "draw", return_value=[]).start()  # most of a short run's time
