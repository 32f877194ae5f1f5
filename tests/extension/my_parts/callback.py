"""A callback: `--callbacks weight-log --weight-log-every 50`."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

import genlab


@genlab.part("callback", "weight-log")
class WeightLog:
    """Writes the norm of all weights to weights.csv in the run folder.

    Args:
        every: steps between lines, of the steps that are logged.
    """

    def __init__(self, *, every: int = 20) -> None:
        self.every = every

    def begin(self, model: nn.Module, folder: Path) -> None:
        """Open the file. A resumed run appends to it, and repeats the steps after its last checkpoint."""
        self.model = model
        self.file = (folder / "weights.csv").open("a", buffering=1)  # a line at a time, in case the run is killed

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write a line."""
        if step % self.every == 0:
            norm = torch.nn.utils.get_total_norm(self.model.parameters())
            self.file.write(f"{step},{norm:.6g}\n")

    def close(self) -> None:
        """Close the file."""
        self.file.close()
