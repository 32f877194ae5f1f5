"""Normalisation layers that mean the same on one process and on many."""

import torch
from torch import Tensor, nn

from genlab.core.distributed import average, processes


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the *global* batch.

    On one process it is `nn.BatchNorm2d`. On several, mean and variance are those of all processes' rows
    together (`nn.SyncBatchNorm` does the same on GPUs only), so that how many processes train does not change
    what is trained.

    References:
        Ioffe and Szegedy, 2015. Batch Normalization. arXiv:1502.03167.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise (B, C, H, W) per channel."""
        if not self.training or processes() == 1:
            return super().forward(images)
        # The mean first: E[x²] − E[x]² would lose its digits where the mean is large.
        mean = average(images.mean((0, 2, 3), keepdim=True))
        variance = average((images - mean).square().mean((0, 2, 3), keepdim=True))
        count = images.numel() // images.shape[1] * processes()
        self._track(mean.detach().flatten(), variance.detach().flatten(), count)
        scale: Tensor = torch.rsqrt(variance + self.eps) * self.weight[:, None, None]
        return (images - mean) * scale + self.bias[:, None, None]

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics as `nn.BatchNorm2d` does, with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
