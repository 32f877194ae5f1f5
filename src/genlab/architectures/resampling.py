"""Doubling and halving the side of maps with the filter [1, 3, 3, 1]/8 along each axis, against aliasing.

Beyond the border maps are 0.

References:
    Zhang, 2019. Making Convolutional Networks Shift-Invariant Again. arXiv:1904.11486.
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN, appendix B. arXiv:1912.04958.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

TAPS = (1.0, 3.0, 3.0, 1.0)


class Filter(nn.Module):
    """The filter of a number of channels, each by itself."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor(TAPS) / sum(TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps).repeat(channels, 1, 1, 1), persistent=False)

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.kernel.shape[0]


class Blur(Filter):
    """Filters maps (B, C, H, W), with `padding` zeros on each side: (B, C, H + 2·padding − 3, …)."""

    def __init__(self, channels: int, padding: int) -> None:
        super().__init__(channels)
        self.padding = padding

    def forward(self, maps: Tensor) -> Tensor:
        """Return the filtered maps."""
        return conv2d(maps, self.kernel, padding=self.padding, groups=self.channels)


class Halved(Filter):
    """Maps (B, C, H, W) to (B, C, H/2, W/2)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the filtered maps, of which every second row and column is left."""
        return conv2d(maps, self.kernel, stride=2, padding=1, groups=self.channels)


class Doubled(Filter):
    """Maps (B, C, H, W) to (B, C, 2H, 2W): bilinear interpolation, apart from the border."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the enlarged maps."""
        return conv_transpose2d(maps, 4 * self.kernel, stride=2, padding=1, groups=self.channels)


class ConvolvedUp(nn.Module):
    """A 3×3 convolution to maps of twice the side, filtered: (B, C, H, W) to (B, D, 2H, 2W).

    It is `Doubled` and then the convolution, in another order that takes a quarter of the products.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.blur = Blur(outputs, padding=1)

    def forward(self, maps: Tensor, weight: Tensor) -> Tensor:
        """Return the convolution of maps with a weight (D, C, 3, 3)."""
        turned = 4 * weight.transpose(0, 1).flip(2, 3)
        return self.blur(conv_transpose2d(maps, turned, stride=2))  # type: ignore[no-any-return]
