"""Networks that fill holes in images: the context encoder, and gated convolutions.

References:
    Pathak et al., 2016. Context Encoders: Feature Learning by Inpainting. arXiv:1604.07379.
    Yu et al., 2019. Free-Form Image Inpainting with Gated Convolution. arXiv:1806.03589.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, pad

from genlab.architectures.conditional import required
from genlab.architectures.convolution import Conv2d
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import make_norm
from genlab.architectures.parts import maps_of
from genlab.architectures.translator_parts import Doubled
from genlab.core.condition import MASK, NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

SMALLEST = 4  # side of the last maps of the context encoder
DEEPEST = 5  # halvings of the context encoder: of 128 pixels, as published
WIDEST = 8  # times `width`
DILATIONS = 4  # gated convolutions with dilation: 2, 4, 8 and 16 positions, as published


class Filling(Mixed):
    """A network from images with holes (B, C, H, W), of any size, and the condition "mask" to whole images.

    Images whose sides `multiple` does not divide are extended by repeating their last pixels.

    Args:
        source: modality of the input.
        target: modality of the output.

    Raises:
        UsageError: these are no images, or not of one size.
    """

    multiple = 1

    def __init__(self, source: Modality, target: Modality) -> None:
        super().__init__()
        self.channels, *self.sides = maps_of(target, "networks that fill holes", "another preset, such as vae")
        if source.shape != target.shape:
            raise UsageError(
                f"this network fills holes, but its sources are {source} and its targets {target}. Set --degrade "
                "holes=centre, without a reduction such as bicubic=4."
            )

    def filled(self, x: Tensor, hole: Tensor) -> Tensor:
        """Return images (B, C, H, W) of images that are 0 in the hole (B, 1, H, W), which is 1 in it, else 0."""
        raise NotImplementedError

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return images (B, C, H, W)."""
        height, width = x.shape[2:]
        hole = (required(condition, MASK) > 0).to(x.dtype)
        high, wide = -height % self.multiple, -width % self.multiple
        if high or wide:
            x, hole = (pad(each, (0, wide, 0, high), mode="replicate") for each in (x, hole))
        return self.filled(x * (1 - hole), hole)[..., :height, :width]


class ContextEncoder(Filling):
    """An encoder that halves the maps, a layer that carries each channel to all positions, and a decoder.

    The layer is published as fully connected within each channel, for one size. Here its weights depend on the
    offset of two positions alone, which is a convolution for each channel that reaches across the maps of training
    images, so that larger images are taken, too. Published with transposed convolutions.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of the first maps; 64 in the paper.
        blocks: how often the maps are halved; by default until their sides are 4 to 7 positions.

    Raises:
        UsageError: these are no images, not of one size, or too small.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target)
        levels = blocks or min(DEEPEST, (min(self.sides) // SMALLEST).bit_length() - 1)
        if levels < 1 or min(self.sides) >> levels < 1:
            raise UsageError(
                f"the context encoder halves its maps {max(levels, 1)} times, for which images of "
                f"{self.sides[0]}×{self.sides[1]} pixels are too small. Set a larger --size or fewer --blocks."
            )
        self.multiple = 2**levels
        widths = [min(2**level, WIDEST) * width for level in range(levels)]
        self.down = nn.Sequential()
        for level, outputs in enumerate(widths):
            inputs = widths[level - 1] if level else self.channels + 1
            self.down.extend([Conv2d(inputs, outputs, 4, stride=2, padding=1), *_rectified(outputs, level > 0)])
        reach = -(-max(self.sides) // self.multiple)
        last = widths[-1]
        self.across = nn.Sequential(
            nn.Conv2d(last, last, 2 * reach - 1, padding=reach - 1, groups=last),
            nn.Conv2d(last, last, 1),
            *_rectified(last, norm=True),
        )
        self.up = nn.Sequential()
        for inputs, outputs in zip(reversed(widths), [*reversed(widths[:-1]), width], strict=True):
            self.up.extend([Doubled(inputs, outputs, "upsample", bias=True), *_rectified(outputs, norm=True)])
        self.last = Conv2d(width, self.channels, 3, padding=1)

    def filled(self, x: Tensor, hole: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1]."""
        with self.shortened(x.device):
            made = self.last(self.up(self.across(self.down(torch.cat([x, hole], 1)))))
        return self.restored(made).tanh()


class GatedConv(nn.Module):
    """ELU(φ(x)) · sigmoid(γ(x)) with convolutions φ and γ: the gate learns where a feature is to be trusted."""

    def __init__(self, inputs: int, outputs: int, side: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        around = dilation * (side // 2)
        self.both = nn.Conv2d(inputs, 2 * outputs, side, stride=stride, padding=around, dilation=dilation)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, outputs, H', W') of maps (B, inputs, H, W)."""
        made: Tensor = self.both(maps)
        features, gate = made.chunk(2, 1)
        return elu(features) * gate.sigmoid()


class Gated(Filling):
    """Gated convolutions: two halvings, dilated ones that look far around, and two doublings.

    This is the first of the paper's two networks; the second refines its images by contextual attention.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of the maps at the image, and a quarter of those below; 24 in the paper.
        blocks: convolutions with dilation, which doubles from 2 on; 4 in the paper.

    Raises:
        UsageError: these are no images, or not of one size.
    """

    multiple = 4

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target)
        two, four = 2 * width, 4 * width
        dilated = [GatedConv(four, four, 3, dilation=2 ** (1 + number)) for number in range(blocks or DILATIONS)]
        self.layers = nn.Sequential(
            GatedConv(self.channels + 1, width, 5),
            GatedConv(width, two, 3, stride=2),
            GatedConv(two, two, 3),
            GatedConv(two, four, 3, stride=2),
            GatedConv(four, four, 3),
            *dilated,
            GatedConv(four, four, 3),
            nn.Upsample(scale_factor=2),
            GatedConv(four, two, 3),
            GatedConv(two, two, 3),
            nn.Upsample(scale_factor=2),
            GatedConv(two, width, 3),
            GatedConv(width, -(-width // 2), 3),
        )
        self.last = Conv2d(-(-width // 2), self.channels, 3, padding=1)

    def filled(self, x: Tensor, hole: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1]."""
        with self.shortened(x.device):
            made = self.last(self.layers(torch.cat([x, hole], 1)))
        return self.restored(made).tanh()


def _rectified(channels: int, norm: bool) -> list[nn.Module]:
    return [make_norm("batch" if norm else "none", channels), nn.LeakyReLU(0.2)]
