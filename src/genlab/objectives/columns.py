"""Reconstruction errors of a row of a table: of its numbers, its categories, and of what is missing in it.

Raw outputs a become a row as by `Table.squash`. A missing number has no error of its own; that it is missing has.

References:
    Nazábal, Olmos, Ghahramani and Valera, 2020. Handling Incomplete Heterogeneous Data using VAEs. Pattern
    Recognition 107. arXiv:1807.03653.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from genlab.core.dequantisation import SMALLEST
from genlab.core.table import Table

LEAST = -3.0  # of log σ: a twentieth of the standard deviation of a column


def squared(activations: Tensor, numbers: Tensor) -> Tensor:
    """(a − x)²."""
    return (activations - numbers).square()


def absolute(activations: Tensor, numbers: Tensor) -> Tensor:
    """|a − x|."""
    return (activations - numbers).abs()


class ColumnDistance(nn.Module):
    """Σ `distance`(a, x) of numbers, plus the cross-entropy in nats of categories and of what is missing."""

    numbers: Tensor  # (numbers,), places of the entries of numbers
    flags: Tensor  # (flags,), places of the entries that say whether a number is missing
    flagged: Tensor  # (flags,), which of the numbers these are

    def __init__(self, table: Table, distance: Callable[[Tensor, Tensor], Tensor] = squared) -> None:
        super().__init__()
        self.distance = distance
        parts = [(column, at) for column, at in table.parts() if not column.choices]
        flagged = [number for number, (column, _) in enumerate(parts) if column.missing]
        self.categories = [at for column, at in table.parts() if column.choices]
        places = {
            "numbers": [at.start for _, at in parts],
            "flags": [parts[number][1].start + 1 for number in flagged],
            "flagged": flagged,
        }
        for name, found in places.items():
            self.register_buffer(name, torch.tensor(found, dtype=torch.int64), persistent=False)

    def forward(self, activations: Tensor, rows: Tensor) -> Tensor:
        """Return the error of each row, (B,), for raw outputs and rows (B, D)."""
        error = self.of_numbers(activations[:, self.numbers], rows[:, self.numbers])
        missing, said = rows[:, self.flags], activations[:, self.flags]
        present = torch.ones_like(error).index_copy(1, self.flagged, (missing < 0).to(error.dtype))
        of_flags = softplus(-2 * said * missing)  # −log sigmoid(±2a)
        total = (error * present).sum(1) + of_flags.sum(1)
        for at in self.categories:
            total = total - (activations[:, at].log_softmax(1) * (rows[:, at] > 0)).sum(1)
        return total

    def of_numbers(self, activations: Tensor, numbers: Tensor) -> Tensor:
        """Return the error of each number, (B, numbers)."""
        return self.distance(activations, numbers)


class ColumnGaussian(ColumnDistance):
    """−log p of a row in nats: N(x; a, σ²) of numbers, and the probabilities of categories and of what is missing.

    Each column of numbers has a learned σ with the lower limit of `LearnedVarianceGaussian`, here log σ = −3.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.free_log_deviations = nn.Parameter(torch.zeros(len(self.numbers)))

    @property
    def log_deviations(self) -> Tensor:
        """log σ of each column of numbers, (numbers,)."""
        return LEAST + softplus(self.free_log_deviations - LEAST)

    def of_numbers(self, activations: Tensor, numbers: Tensor) -> Tensor:
        """Return −log N(x; a, σ²) of each number, (B, numbers)."""
        distances = self.distance(activations, numbers) * (-2 * self.log_deviations).exp()
        return 0.5 * (distances + math.log(2 * math.pi)) + self.log_deviations

    def draw(self, activations: Tensor, noise: Tensor) -> Tensor:
        """Return a draw of each row, (B, D), from raw outputs and standard normal noise (B, D).

        Categories are drawn as the largest of logits plus Gumbel noise.
        """
        made = torch.full_like(activations, -1.0)
        drawn = activations[:, self.numbers] + self.log_deviations.exp() * noise[:, self.numbers]
        uniform = torch.special.ndtr(noise).clamp(SMALLEST, 1 - SMALLEST)
        missing = uniform[:, self.flags] < (2 * activations[:, self.flags]).sigmoid()
        present = torch.ones_like(drawn).index_copy(1, self.flagged, (~missing).to(drawn.dtype))
        made = made.index_copy(1, self.numbers, drawn * present)
        made = made.index_copy(1, self.flags, 2 * missing.to(drawn.dtype) - 1)
        for at in self.categories:
            chosen = (activations[:, at] - (-uniform[:, at].log()).log()).argmax(1, keepdim=True)
            made[:, at] = made[:, at].scatter(1, chosen, 1.0)
        return made
