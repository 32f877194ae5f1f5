"""A network that gives colours to grey images: it finds a and b of CIELAB, given L.

References:
    Zhang, Isola and Efros, 2016. Colorful Image Colorization. arXiv:1603.08511.
    Ronneberger, Fischer and Brox, 2015. U-Net. arXiv:1505.04597.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, relu

from genlab.architectures.convolution import Conv2d, upsampled
from genlab.architectures.mixed import Mixed
from genlab.architectures.parts import maps_of
from genlab.architectures.superres import initialise, residual_block
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.pixels import REACH, from_lab, into_gamut, to_lab

HALVINGS = 4
WIDEST = 4  # times `width`


class Colours(Mixed):
    """A U-Net from L to a and b of CIELAB at half the size; L of its images is that of their source.

    Colours that sRGB lacks have less chroma, and the same L, when the network is used. In training they are left
    as they are: their distance to the truth has a gradient.

    Args:
        source: modality of the input, of three channels.
        target: modality of the output, of the same shape.
        width: channels at half the size of the image, and a quarter of those at the smallest.
        blocks: residual blocks at a sixteenth of the size, 4 by default.

    Raises:
        UsageError: these are no such images.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__()
        channels, *_ = maps_of(target, "networks for colours", "another preset, such as vae")
        if channels != 3 or source.shape != target.shape:
            raise UsageError(
                f"--architecture colours finds the colours of grey pictures of the same size, but its sources are "
                f"{source} and its targets {target}. Use colour pictures, and --degrade grey=1."
            )
        widths = [min(2**level, WIDEST) * width for level in range(HALVINGS)]
        self.first = Conv2d(1, width, 4, stride=2, padding=1)
        self.down = nn.ModuleList(Conv2d(one, two, 4, stride=2, padding=1) for one, two in pairwise(widths))
        self.blocks = nn.ModuleList(residual_block(widths[-1]) for _ in range(blocks or 4))
        self.up = nn.ModuleList(Conv2d(two, one, 3, padding=1) for one, two in pairwise(widths))
        self.joined = nn.ModuleList(Conv2d(2 * each, each, 3, padding=1) for each in widths[:-1])
        self.last = Conv2d(width, 2, 3, padding=1)
        initialise([self.first, *self.down, *self.up, *self.joined, self.last])

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return images (B, 3, H, W) with the L of images (B, 3, H, W)."""
        light = to_lab(x)[:, :1]
        with self.shortened(x.device):
            found = self.found(light / 50 - 1)
        lab = torch.cat([light, REACH * self.restored(found)], 1)
        return from_lab(lab if self.training else into_gamut(lab))

    def found(self, light: Tensor) -> Tensor:
        """Return a and b (B, 2, H, W), divided by `REACH`, of L (B, 1, H, W) in [-1, 1]."""
        height, width = light.shape[2:]
        whole = 2**HALVINGS
        maps = relu(self.first(pad(light, (0, -width % whole, 0, -height % whole), mode="replicate")))
        skipped = []
        for down in self.down:
            skipped.append(maps)
            maps = relu(down(maps))
        for block in self.blocks:
            maps = maps + block(maps)
        for up, joined in zip(reversed(self.up), reversed(self.joined), strict=True):
            assert isinstance(up, Conv2d)
            maps = relu(joined(torch.cat([relu(upsampled(maps, up)), skipped.pop()], 1)))
        made = interpolate(self.last(maps), scale_factor=2, mode="bilinear")
        return made[..., :height, :width]
