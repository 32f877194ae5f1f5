"""Mixed precision: networks that compute in a shorter type, such as bf16, inside and return float32."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from genlab.architectures.conditional import ConditionalSequential
from genlab.core.condition import NONE, Condition


class Mixed(nn.Module):
    """A network that multiplies in `dtype` and returns float32, in which heads, losses and penalties continue.

    Weights, their gradients and the statistics of normalisation stay in float32: each forward pass rounds a copy
    of the weights.

    References:
        Micikevicius et al., 2018. Mixed Precision Training. arXiv:1710.03740.
        Kalamkar et al., 2019. A Study of BFLOAT16 for Deep Learning Training. arXiv:1905.12322.
    """

    dtype = torch.float32

    @property
    def multiplies_in(self) -> torch.dtype:
        """The data type of its products in the current mode."""
        return self.dtype

    def shortened(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return a context in which products are computed in `multiplies_in`."""
        dtype = self.multiplies_in
        return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)

    def rounded(self, given: Tensor) -> Tensor:
        """Return a tensor in the type of the products, if that is shorter."""
        return given if self.multiplies_in == torch.float32 else given.to(self.multiplies_in)

    def restored(self, made: Tensor) -> Tensor:
        """Return an output in float32."""
        return made if self.dtype == torch.float32 else made.float()


class MixedSequential(ConditionalSequential, Mixed):
    """A `ConditionalSequential` in mixed precision."""

    def forward(self, given: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the last layer's output in float32."""
        with self.shortened(given.device):
            made = super().forward(given, condition)
        return self.restored(made)


def compute_in(dtype: torch.dtype, model: nn.Module) -> None:
    """Let the networks of `model` multiply in `dtype`."""
    for module in model.modules():
        if isinstance(module, Mixed):
            module.dtype = dtype
