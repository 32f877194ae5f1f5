"""Layers by which a critic sees a batch as a whole, so that a collapsed generator gives itself away."""

import torch
from torch import Tensor, nn

from genlab.core.distributed import average, gather


class MinibatchDiscrimination(nn.Module):
    """Adds to each image how near the others are: o_b = Σ_j exp(−‖φT_b − φ_jT_b‖₁) for `kernels` matrices T_b.

    The sum is over the global batch, the image itself included, as in the paper. T starts at N(0, 1/features):
    columns of about length 1, as the authors' weight normalisation makes them, so that distances between features
    of order 1 are of order 1 too and not lost in the exponential.

    References:
        Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498.
    """

    def __init__(self, features: int, kernels: int = 100, dimensions: int = 5) -> None:
        super().__init__()
        self.size = features + kernels
        self.dimensions = dimensions
        self.projections = nn.Parameter(torch.randn(features, kernels * dimensions) * features**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, features + kernels) of (B, features)."""
        projected = (features @ self.projections).view(len(features), -1, self.dimensions)
        distances = (projected[:, None] - gather(projected)).abs().sum(3)
        return torch.cat((features, torch.exp(-distances).sum(1)), dim=1)


class MinibatchStddev(nn.Module):
    """Adds one feature: the standard deviation over the global batch, averaged over all features.

    References:
        Karras et al., 2018. Progressive Growing of GANs. arXiv:1710.10196.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.size = features + 1

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, features + 1) of (B, features)."""
        variance = average((features - average(features.mean(0))).square().mean(0))
        spread = torch.sqrt(variance + 1e-8).mean()  # the root of 0 has no slope
        return torch.cat((features, spread.expand(len(features), 1)), dim=1)
