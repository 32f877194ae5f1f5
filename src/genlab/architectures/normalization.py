"""Normalisation layers with the same result on one process and on several."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, embedding

from genlab.architectures.conditional import Conditional, required
from genlab.core.condition import NONE, Condition
from genlab.core.distributed import all_reduce_mean, world_size

NormName = Literal["batch", "layer", "instance", "none"]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the *global* batch, of maps (B, C, H, W) or vectors (B, C).

    On one process it is `nn.BatchNorm2d`. On several, mean and variance are computed over all processes' rows
    (`nn.SyncBatchNorm` does the same, but only on GPUs), so that the number of processes does not change the
    result.

    References:
        Ioffe and Szegedy, 2015. Batch Normalization. arXiv:1502.03167.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise per channel."""
        if not self.training or world_size() == 1:
            return super().forward(images)
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        over = (0, *range(2, images.ndim))
        # The mean first: E[x²] − E[x]² loses digits if the mean is large.
        mean = all_reduce_mean(images.mean(over, keepdim=True))
        variance = all_reduce_mean((images - mean).square().mean(over, keepdim=True))
        count = images.numel() // images.shape[1] * world_size()
        self._track(mean.detach().flatten(), variance.detach().flatten(), count)
        scale = torch.rsqrt(variance + self.eps)
        if not self.affine:
            return (images - mean) * scale
        scale = scale * self.weight.view_as(scale)
        normalised: Tensor = (images - mean) * scale + self.bias.view_as(scale)
        return normalised

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics as `nn.BatchNorm2d` does, with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 (torch's name)
        if input.ndim not in (2, 4):
            raise ValueError(f"batch normalisation takes (B, C) or (B, C, H, W), not {tuple(input.shape)}")


class ConditionalBatchNorm2d(Conditional):
    """Batch normalisation with a gain and a bias for each class: γ_y · (x − μ)/σ + β_y.

    μ and σ are computed over all classes together. Every γ starts at 1 and every β at 0.

    References:
        Dumoulin, Shlens and Kudlur, 2017. A Learned Representation for Artistic Style. arXiv:1610.07629.
        Miyato and Koyama, 2018. cGANs with Projection Discriminator. arXiv:1802.05637.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.normalise = BatchNorm2d(channels, affine=False)
        # No nn.Embedding: spectral normalisation applies to embeddings, too, and would shrink the gains.
        self.gain = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, maps: Tensor, condition: Condition = NONE) -> Tensor:
        """Normalise (B, C, H, W) for the labels (B,) in `condition`."""
        labels = required(condition)
        gain, bias = (embedding(labels, table)[:, :, None, None] for table in (self.gain, self.bias))
        result: Tensor = self.normalise(maps) * gain + bias
        return result


class InstanceNorm2d(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d` with gains and biases; on a CPU two to four times as fast for maps in channels last.

    torch copies such maps into another order, in which the next convolution is slow. The batch normalisation of
    one image is its instance normalisation, and keeps the order.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Normalise each channel of each image (B, C, H, W) over its positions."""
        last = input.is_contiguous(memory_format=torch.channels_last) and not input.is_contiguous()
        if not last or input.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(input)
        self._check_input_dim(input)
        normalise = partial(batch_norm, running_mean=None, running_var=None, training=True, eps=self.eps)
        return torch.cat([normalise(one, weight=self.weight, bias=self.bias) for one in torch.split(input, 1)])


def make_norm(name: NormName, channels: int) -> nn.Module:
    """Return the normalisation called `name` of maps (B, C, H, W) with `channels` channels.

    batch: per channel over the batch and the positions. layer: per image over channels and positions, with a
    gain per channel. instance: per image and channel over the positions. none: nothing. All but instance take
    vectors (B, C), too.

    References:
        Ba, Kiros and Hinton, 2016. Layer Normalization. arXiv:1607.06450.
        Ulyanov, Vedaldi and Lempitsky, 2016. Instance Normalization. arXiv:1607.08022.
    """
    match name:
        case "batch":
            return BatchNorm2d(channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "instance":
            return InstanceNorm2d(channels)
        case "none":
            return nn.Identity()
