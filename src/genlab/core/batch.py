"""A batch of examples with their conditions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import torch
from torch import Tensor

from genlab.core.condition import Condition, condition_rows

AT_ONCE = 250
PIXELS = 2**20  # at a time, because the memory that networks take grows with them


def at_once(shape: Sequence[int]) -> int:
    """Return how many examples of a shape are evaluated at a time: 250, and fewer of large pictures."""
    return max(1, min(AT_ONCE, PIXELS // prod(shape[1:])))


@dataclass(frozen=True)
class Batch:
    """Examples and their conditions.

    With several processes, a batch holds this process's rows of the global batch.
    """

    x: Tensor  # (B, *shape) float32, the examples
    index: Tensor  # (B,) int64, position in the dataset
    condition: Condition = field(default_factory=dict)  # by name: "label" (B,), "source" (B, C, H, W), …

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, index: Tensor | slice) -> "Batch":
        """Return the rows at `index`."""
        positions = index.to(self.index.device) if isinstance(index, Tensor) else index
        return Batch(self.x[index], self.index[positions], condition_rows(self.condition, index))

    def parts(self, count: int) -> Sequence["Batch"]:
        """Return `count` batches of equal size, in order."""
        each = len(self) // count
        return [self] if count == 1 else [self[part * each : (part + 1) * each] for part in range(count)]

    def condition_for(self, names: Iterable[str]) -> Condition:
        """Return only the conditions `names`, for a model that does not take all of them."""
        return {name: self.condition[name] for name in names if name in self.condition}

    def to(self, device: torch.device) -> "Batch":
        """Return the same batch on `device`."""
        moved = {name: value.to(device, non_blocking=True) for name, value in self.condition.items()}
        return replace(self, x=self.x.to(device, non_blocking=True), condition=moved)
