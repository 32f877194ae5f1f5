"""The likelihood of a row of a table: of numbers a Gaussian, of categories their probability.

Raw outputs a become a row as by `Table.squash`. A missing number has no likelihood of its own; that it is missing has.

References:
    Nazábal, Olmos, Ghahramani and Valera, 2020. Handling Incomplete Heterogeneous Data using VAEs. Pattern
    Recognition 107. arXiv:1807.03653.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from genlab.core.table import Table

LEAST = -3.0  # of log σ: a twentieth of a column's standard deviation


class ColumnError(nn.Module):
    """Σ (a − x)² over the numbers, plus the cross-entropy in nats of the categories and of what is missing."""

    numbers: Tensor  # (numbers,), the entries of numbers
    flags: Tensor  # (flags,), the entries that say whether a number is missing
    flagged: Tensor  # (flags,), for each flag its position in `numbers`

    def __init__(self, table: Table) -> None:
        super().__init__()
        parts = [at for column, at in table.parts() if not column.choices]
        flagged = [number for number, at in enumerate(parts) if at.stop - at.start == 2]
        self.categories = [at for column, at in table.parts() if column.choices]
        self.register_buffer("numbers", torch.tensor([at.start for at in parts], dtype=torch.int64), False)
        self.register_buffer("flagged", torch.tensor(flagged, dtype=torch.int64), False)
        self.register_buffer("flags", self.numbers[self.flagged] + 1, False)

    def forward(self, activations: Tensor, rows: Tensor) -> Tensor:
        """Return the error of each row, (B,), for raw outputs and rows (B, D)."""
        error = self.of_numbers(activations[:, self.numbers], rows[:, self.numbers])
        missing = rows[:, self.flags]
        present = torch.ones_like(error).index_copy(1, self.flagged, (missing < 0).to(error.dtype))
        said = activations[:, self.flags]
        of_flags = 2 * softplus(said, beta=2) - said * (missing + 1)  # −log sigmoid(±2a)
        total = (error * present).sum(1) + of_flags.sum(1)
        for at in self.categories:
            total = total - (activations[:, at].log_softmax(1) * (rows[:, at] > 0)).sum(1)
        return total

    def of_numbers(self, activations: Tensor, numbers: Tensor) -> Tensor:
        """Return the error of each number, (B, numbers)."""
        return (activations - numbers).square()


class ColumnLikelihood(ColumnError):
    """−log p of a row in nats: N(x; a, σ²) with one learned σ for each column of numbers, limited as in
    `LearnedVarianceGaussian` but at log σ = −3, and the probabilities of categories and of what is missing.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.free_log_deviations = nn.Parameter(torch.zeros(len(self.numbers)))

    def of_numbers(self, activations: Tensor, numbers: Tensor) -> Tensor:
        """Return −log N(x; a, σ²) of each number, (B, numbers)."""
        log_deviations = LEAST + softplus(self.free_log_deviations - LEAST)
        distances = (activations - numbers).square() * (-2 * log_deviations).exp()
        return 0.5 * (distances + math.log(2 * math.pi)) + log_deviations
