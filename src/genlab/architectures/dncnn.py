"""The network of DnCNN, which finds the noise in an image, and FFDNet's way to make it fast.

References:
    Zhang et al., 2017. Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising.
    arXiv:1608.03981.
    Zhang, Zuo and Zhang, 2018. FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image Denoising.
    arXiv:1710.04026.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

from genlab.architectures.convolution import Conv2d
from genlab.architectures.mixed import Mixed
from genlab.architectures.parts import maps_of
from genlab.core.modality import Modality

BLOCK = 2  # pixels of a side that become channels
PART = 64  # images at a time in inference on a CPU, so that their maps fit into its caches


class DnCNN(Mixed):
    """A network from images (B, C, H, W) to the noise in them, of the same shape.

    Blocks of 2×2 pixels become the channels of one position, as in FFDNet, so that a layer takes a quarter of the
    time and sees twice as far. Between a first 3×3 convolution to `width` channels and a last one, whose weights
    are 0 at the start, are `depth` residual blocks h + conv(relu(conv(h))).

    Raises:
        UsageError: the data are no images.
    """

    def __init__(self, modality: Modality, width: int, depth: int) -> None:
        super().__init__()
        channels, *_ = maps_of(modality, "network dncnn", "another preset, such as vae")
        channels *= BLOCK**2
        self.first = Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(_block(width) for _ in range(depth))
        self.last = Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the noise in images (B, C, H, W)."""
        in_parts = x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if in_parts and x.shape[0] > PART:
            return torch.cat([self._noise(part) for part in torch.split(x, PART)])
        return self._noise(x)

    def _noise(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        even = pad(x, (0, width % BLOCK, 0, height % BLOCK), mode="replicate")
        maps = self.rounded(
            self.first(pixel_unshuffle(even, BLOCK))
        )  # not earlier: bf16 would round away faint noise
        with self.shortened(x.device):
            for block in self.blocks:
                maps = maps + block(maps)
            made = self.last(maps)
        return pixel_shuffle(self.restored(made), BLOCK)[:, :, :height, :width]


def _block(width: int) -> nn.Sequential:
    """Return conv(relu(conv(h))) with half of He's gain, as its output is added to its input."""
    convolutions = Conv2d(width, width, 3, padding=1), Conv2d(width, width, 3, padding=1)
    for layer, gain in zip(convolutions, (2**0.5, 2**-0.5), strict=True):
        nn.init.normal_(layer.weight, 0.0, gain / (9 * width) ** 0.5)
    return nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1])
