"""The U-Net of partial convolutions, which look only at pixels that are known or filled already.

References:
    Liu et al., 2018. Image Inpainting for Irregular Holes Using Partial Convolutions. arXiv:1804.07723.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu, relu

from genlab.architectures.filling import WIDEST, Filling
from genlab.architectures.normalization import make_norm
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

DEEPEST = 7  # halvings of 256 pixels, of which the last maps have two
FIRST = {0: 7, 1: 5, 2: 5}  # sides of the first kernels; the others have 3 positions


class PartialConv(nn.Module):
    """A convolution of known numbers: Wᵀ(x ⊙ m) / mean(m) + b where the mean is over the window, else 0.

    Beyond the border nothing is known. A position of the result is known if one in its window was.

    Args:
        inputs: channels, of one or more maps that are concatenated, each with its own mask.
        outputs: channels.
        side: of the kernel.
        stride: of the kernel.
    """

    def __init__(self, inputs: tuple[int, ...], outputs: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.inputs, self.side, self.stride = inputs, side, stride
        weight, self.bias = torch.empty(outputs, sum(inputs), side, side), nn.Parameter(torch.zeros(outputs))
        self.weight = nn.Parameter(nn.init.kaiming_normal_(weight, nonlinearity="relu"))

    def forward(self, maps: tuple[Tensor, ...], masks: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return maps (B, outputs, H', W') and their mask (B, 1, H', W').

        Args:
            maps: maps (B, C, H, W), 0 where they are unknown.
            masks: the mask (B, 1, H, W) of each, 1 where it is known, else 0.
        """
        around = self.side // 2
        shares = [mask * (count / sum(self.inputs)) for mask, count in zip(masks, self.inputs, strict=True)]
        known = avg_pool2d(torch.stack(shares).sum(0), self.side, self.stride, around)
        made = conv2d(torch.cat(maps, 1), self.weight, None, self.stride, around)
        least = 0.5 / (sum(self.inputs) * self.side**2)
        mask = (known > least).to(made.dtype)
        return (made / known.clamp(min=least) + self.bias.to(made.dtype)[:, None, None]) * mask, mask


class PartialUNet(Filling):
    """A U-Net whose convolutions are partial: each level halves maps and mask, and on the way up gets both back.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of the first level; 64 in the paper. They double with each level up to 8·`width`.
        blocks: how often the maps are halved; by default until a side has two or three positions.

    Raises:
        UsageError: these are no images, not of one size, or too small.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target)
        levels = blocks or min(DEEPEST, min(self.sides).bit_length() - 2)
        if levels < 1 or min(self.sides) >> levels < 1:
            raise UsageError(
                f"partial-conv halves its maps {max(levels, 1)} times, for which images of {self.sides[0]}×"
                f"{self.sides[1]} pixels are too small. Set a larger --size or fewer --blocks."
            )
        self.multiple = 2**levels
        widths = [self.channels, *(min(2**level, WIDEST) * width for level in range(levels))]
        self.down, self.down_norms = nn.ModuleList(), nn.ModuleList()
        self.up, self.up_norms = nn.ModuleList(), nn.ModuleList()
        for level in range(levels):
            self.down.append(PartialConv((widths[level],), widths[level + 1], FIRST.get(level, 3), stride=2))
            self.down_norms.append(make_norm("batch" if level else "none", widths[level + 1]))
        for level in reversed(range(levels)):
            outputs = widths[level]
            self.up.append(PartialConv((widths[level + 1], outputs), outputs, 3))
            self.up_norms.append(make_norm("batch" if level else "none", outputs))

    def filled(self, x: Tensor, hole: Tensor) -> Tensor:
        """Return images (B, C, H, W), which are not limited to [-1, 1]."""
        with self.shortened(x.device):
            maps, mask = x, 1 - hole
            kept = []
            for convolution, norm in zip(self.down, self.down_norms, strict=True):
                kept.append((maps, mask))
                maps, mask = convolution((maps,), (mask,))
                maps = relu(norm(maps)) * mask
            for convolution, norm in zip(self.up, self.up_norms, strict=True):
                before, known = kept.pop()
                doubled, filled = (interpolate(each, scale_factor=2, mode="nearest") for each in (maps, mask))
                maps, mask = convolution((doubled, before), (filled, known))
                maps = norm(maps) if not kept else leaky_relu(norm(maps), 0.2) * mask
        return self.restored(maps)
