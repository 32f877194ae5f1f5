"""What the modalities of real numbers share: images, points and tables."""

from typing import ClassVar

from torch import Tensor

from genlab.core.errors import UsageError


class RealNumbers:
    """Float tensors (B, *shape), which have a density, and no default as a condition."""

    kind: ClassVar[str]
    noun: ClassVar[str]
    shape: tuple[int, ...]

    def dequantise(self, x: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return x: real numbers have a density."""
        return x, x.new_zeros(x.shape[0])

    def quantise(self, numbers: Tensor) -> Tensor:
        """Return the numbers."""
        return numbers

    def default(self, count: int) -> Tensor | None:
        """Return None: the condition must be given."""
        return None

    def check(self, given: Tensor, count: int, name: str) -> None:
        """Raise UsageError unless `given` has the shape (count, *shape)."""
        if tuple(given.shape) != (count, *self.shape):
            wanted = (count, *self.shape)
            raise UsageError(
                f"a {name} of shape {tuple(given.shape)} for {count} samples; the model takes {wanted}."
            )
