"""How a style enters a layer: adaptive instance normalisation (StyleGAN), or modulated weights (StyleGAN 2).

References:
    Huang and Belongie, 2017. Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.
    arXiv:1703.06868.
    Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for GANs. arXiv:1812.04948.
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN. arXiv:1912.04958.
"""

import torch
from torch import Tensor, nn

from genlab.architectures.convolution import Conv2d
from genlab.architectures.equalised import equalised
from genlab.architectures.resampling import ConvolvedUp
from genlab.core.device import full_precision

EPSILON = 1e-8


class AdaptiveInstanceNorm(nn.Module):
    """s · (x − μ)/σ + b for each channel of each image, with s, b from its style; they begin near 1 and 0."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.scale = equalised(nn.Linear(style, channels), bias=1.0)
        self.shift = equalised(nn.Linear(style, channels))

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Return maps (B, C, H, W) with the means b and deviations |s| of styles (B, style)."""
        variance, mean = torch.var_mean(maps, (2, 3), correction=0, keepdim=True)
        scale = _over_positions(self.scale(style), maps) * torch.rsqrt(variance + EPSILON)
        return (maps - mean) * scale + _over_positions(self.shift(style), maps)


class ModulatedConv2d(nn.Module):
    """A convolution whose weight w' belongs to the style of each image.

        w'_oikl = s_i w_oikl,   then   w'' = w' / √(Σ_ikl w'_oikl² + ε)   if `demodulate`

    so that inputs of unit variance have outputs of unit variance. Convolutions are linear: scaling the inputs by s
    and the outputs by the root gives the same with one weight for all images, and is faster on a CPU than a weight
    for each of them.

    Args:
        inputs: channels of the maps.
        outputs: channels of the result.
        kernel: side of the kernel, odd.
        style: size of a style.
        demodulate: whether the outputs are scaled.
        up: whether the result has twice the side; the kernel is 3 then.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.scale = equalised(nn.Linear(style, inputs), bias=1.0)
        self.convolution = equalised(Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False))
        self.demodulate = demodulate
        self.up = ConvolvedUp(outputs) if up else None

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Return maps (B, outputs, H, W) of maps (B, inputs, H, W) and styles (B, style)."""
        with full_precision(style.device):
            scale = self.scale(style)
        maps = maps * _over_positions(scale, maps)
        made: Tensor = self.up(maps, self.convolution.weight) if self.up else self.convolution(maps)
        return made * _over_positions(self.demodulation(scale), made) if self.demodulate else made

    def demodulation(self, scale: Tensor) -> Tensor:
        """Return the factors (B, outputs) on the outputs for factors (B, inputs) on the inputs."""
        with full_precision(scale.device):
            squares = self.convolution.weight.square().sum((2, 3))
            return torch.rsqrt(scale.square() @ squares.T + EPSILON)


def _over_positions(factors: Tensor, maps: Tensor) -> Tensor:
    """Return factors (B, C) that broadcast to maps (B, C, H, W), in their number type."""
    return factors.to(maps.dtype)[:, :, None, None]
