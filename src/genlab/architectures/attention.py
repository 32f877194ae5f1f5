"""Self-attention between the positions of a feature map.

References:
    Zhang, Goodfellow, Metaxas and Odena, 2019. Self-Attention Generative Adversarial Networks. arXiv:1805.08318.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class SelfAttention(nn.Module):
    """y = x + γ·v(Σ_j β_ij h(x)_j) with β_i = softmax_j ⟨f(x)_i, g(x)_j⟩; γ starts at 0.

    f, g, h and v are 1×1 convolutions, f and g to C/8 channels, h to C/2. Keys g and values h are max-pooled
    to half the side, as in the authors' code: β is four times smaller.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.queries = nn.Conv2d(channels, narrow, 1, bias=False)
        self.keys = nn.Conv2d(channels, narrow, 1, bias=False)
        self.values = nn.Conv2d(channels, half, 1, bias=False)
        self.output = nn.Conv2d(half, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def weights(self, maps: Tensor) -> Tensor:
        """Return β of maps (B, C, H, W), (B, H·W, ⌊H/2⌋·⌊W/2⌋); each row sums to 1."""
        queries = self.queries(maps).flatten(2)
        keys = max_pool2d(self.keys(maps), 2).flatten(2)
        # Written out, because fused attention kernels have no second derivative; gradient penalties need one.
        return torch.softmax(queries.mT @ keys, dim=2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape (B, C, H, W)."""
        values = max_pool2d(self.values(maps), 2).flatten(2)
        attended = (values @ self.weights(maps).mT).view(*values.shape[:2], *maps.shape[2:])
        result: Tensor = maps + self.gain * self.output(attended)
        return result
