"""Networks whose inside may compute in fewer bits than what is around them."""

import torch
from torch import Tensor, nn

from genlab.architectures.labels import LabelledSequential


class MixedSequential(LabelledSequential):
    """Layers in a row that multiply in `dtype` and give back float32, where heads, losses and penalties go on.

    Weights, their gradients and the statistics of normalisation are float32 all the same: each forward rounds a
    copy of the weights.

    References:
        Micikevicius et al., 2018. Mixed Precision Training. arXiv:1710.03740.
        Kalamkar et al., 2019. A Study of BFLOAT16 for Deep Learning Training. arXiv:1905.12322.
    """

    dtype = torch.float32

    def forward(self, given: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last layer's output in float32."""
        if self.dtype == torch.float32:
            return super().forward(given, labels)
        with torch.autocast(given.device.type, self.dtype):
            made = super().forward(given, labels)
        return made.float()


def compute_in(dtype: torch.dtype, model: nn.Module) -> None:
    """Let the networks of `model` multiply in `dtype`."""
    for module in model.modules():
        if isinstance(module, MixedSequential):
            module.dtype = dtype
