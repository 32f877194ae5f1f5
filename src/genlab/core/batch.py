"""What the data room hands to a family, and the shape that networks are built for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor


class ImageShape(NamedTuple):
    """Channels, height and width of one image; a point of a 2-D toy is `(2, 1, 1)`."""

    channels: int
    height: int
    width: int

    @property
    def of_points(self) -> bool:
        """Whether it is no image but a point."""
        return self.height == self.width == 1


@dataclass(frozen=True)
class Batch:
    """Images in [-1, 1] and what is known about them.

    On more than one process a batch holds this process's rows of the global batch.
    """

    images: Tensor  # (B, C, H, W) float32 in [-1, 1]
    index: Tensor  # (B,) int64, position in the dataset
    labels: Tensor | None = None  # (B,) int64
    partner: Tensor | None = None  # (B, C, H, W), the other side of a pair

    def __len__(self) -> int:
        return len(self.images)

    def parts(self, count: int) -> list["Batch"]:
        """Return `count` batches of equally many rows, in their order."""

        def cut(tensor: Tensor | None) -> Sequence[Tensor | None]:
            return [None] * count if tensor is None else tensor.chunk(count)

        columns = cut(self.images), cut(self.index), cut(self.labels), cut(self.partner)
        return [self] if count == 1 else [Batch(*rows) for rows in zip(*columns, strict=True)]  # type: ignore[arg-type]

    def to(self, device: torch.device) -> "Batch":
        """Return the same batch on `device`."""

        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        return replace(
            self,
            images=self.images.to(device, non_blocking=True),
            labels=move(self.labels),
            partner=move(self.partner),
        )
