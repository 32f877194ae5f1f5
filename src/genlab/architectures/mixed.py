"""Networks whose inside may compute in fewer bits than what is around them."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from genlab.architectures.conditional import ConditionalSequential
from genlab.core.condition import NONE, Condition


class Mixed(nn.Module):
    """A network that multiplies in `dtype` and gives back float32, where heads, losses and penalties go on.

    Weights, their gradients and the statistics of normalisation are float32 all the same: each forward rounds a
    copy of the weights.

    References:
        Micikevicius et al., 2018. Mixed Precision Training. arXiv:1710.03740.
        Kalamkar et al., 2019. A Study of BFLOAT16 for Deep Learning Training. arXiv:1905.12322.
    """

    dtype = torch.float32

    @property
    def multiplies_in(self) -> torch.dtype:
        """The type of its products now."""
        return self.dtype

    def shortened(self, device: torch.device) -> AbstractContextManager[Any]:
        """Multiply in `multiplies_in` within."""
        dtype = self.multiplies_in
        return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)

    def rounded(self, given: Tensor) -> Tensor:
        """Return what is given in the type of its products, if that is shorter."""
        return given if self.multiplies_in == torch.float32 else given.to(self.multiplies_in)

    def restored(self, made: Tensor) -> Tensor:
        """Return what was made within, in float32 if it is shorter."""
        return made if self.dtype == torch.float32 else made.float()


class MixedSequential(ConditionalSequential, Mixed):
    """Layers in a row, as a `Mixed` network."""

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
