"""Dropout that means the same on one process and on many."""

import torch
from torch import Tensor, nn

from genlab.core.distributed import here


class Dropout(nn.Module):
    """In training each element is 0 with probability p, and divided by 1 − p otherwise.

    Every process draws the mask of the whole global batch from torch's global stream and keeps its rows, so that
    how many processes train does not change what is trained.

    References:
        Srivastava et al., 2014. Dropout: A Simple Way to Prevent Neural Networks from Overfitting. JMLR 15.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, given: Tensor) -> Tensor:
        """Return (B, …) as it is in evaluation, with gaps in training."""
        if not self.training or self.p == 0:
            return given
        shard = here()
        draws = torch.rand(len(given) * shard.size, *given.shape[1:], device=given.device)
        return given * ((shard.rows(draws) >= self.p) / (1 - self.p)).to(given.dtype)

    def extra_repr(self) -> str:
        """Return what `print` shows of it."""
        return f"p={self.p}"
