"""The U-Net that translates images in pix2pix.

References:
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks, sections 3.2.1 and 6.1.1.
    arXiv:1611.07004.
"""

import torch
from torch import Tensor, nn

from genlab.architectures.convolution import Conv2d
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import NormName, make_norm
from genlab.architectures.translator_parts import Doubled, JoinLabelPlanes, UpsamplingName, initialise, sides_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

DEEPEST = 8  # halvings at most, which 256 pixels need
WIDEST = 8  # times `width`
DROPPED = 3  # levels with dropout


class UnetTranslator(Mixed):
    """A network (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W) with skip connections.

    Each level halves the maps by a 4×4 convolution until a side is odd, for most sizes at 1 pixel. On the way up,
    each level gets the maps of the same side from the way down (skip connections). The channels double with each
    level up to 8·`width`. Sides are multiples of `multiple`.

    Published with transposed convolutions.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of the first level.
        norm: normalisation after each convolution but the first, the innermost and the last.
        upsampling: how the maps are doubled.
        dropout: fraction dropped in training, in the three innermost levels on the way up.
        classes: number of labels, which enter as constant planes; 0 for none.

    Raises:
        UsageError: an odd side.
    """

    def __init__(
        self,
        source: Modality,
        target: Modality,
        width: int,
        *,
        norm: NormName = "instance",
        upsampling: UpsamplingName = "upsample",
        dropout: float = 0.0,
        classes: int = 0,
    ) -> None:
        super().__init__()
        channels, height, across = sides_of(source, target, "unet")
        levels = _halvings(height, across)
        self.multiple = 2**levels
        self.labels = JoinLabelPlanes(classes)
        widths = [min(2**level, WIDEST) * width for level in range(levels)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, outputs in enumerate(widths):
            inputs = widths[level - 1] if level else channels + classes
            plain = level in (0, levels - 1)  # the normalisation of one position is 0
            self.down.append(_down(inputs, outputs, "none" if plain else norm, first=level == 0))
        for level in range(levels - 1, 0, -1):
            inputs = widths[level] * (1 if level == levels - 1 else 2)
            share = dropout if level >= levels - DROPPED else 0.0
            self.up.append(_up(inputs, widths[level - 1], norm, upsampling, share))
        self.last = _up(width if levels == 1 else 2 * width, target.shape[0], "none", upsampling)
        initialise(self)

    def forward(self, source: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the raw outputs (B, C', H, W) of sources (B, C, H, W)."""
        with self.shortened(source.device):
            kept, maps = [], self.labels(source, condition)
            for down in self.down:
                maps = down(maps)
                kept.append(maps)
            kept.pop()
            for up in self.up:
                maps = torch.cat([up(maps), kept.pop()], dim=1)
            made: Tensor = self.last(maps)
        return self.restored(made)


def _down(inputs: int, outputs: int, norm: NormName, *, first: bool) -> nn.Sequential:
    """Return leaky ReLU unless it is the first level, a 4×4 convolution of stride 2, and normalisation."""
    convolution = Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "none")
    return nn.Sequential(*([] if first else [nn.LeakyReLU(0.2)]), convolution, make_norm(norm, outputs))


def _up(
    inputs: int, outputs: int, norm: NormName, upsampling: UpsamplingName, dropout: float = 0.0
) -> nn.Sequential:
    """Return ReLU, a layer that doubles the side, normalisation and dropout."""
    doubled = Doubled(inputs, outputs, upsampling, bias=norm == "none")
    return nn.Sequential(
        nn.ReLU(), doubled, make_norm(norm, outputs), Dropout(dropout) if dropout else nn.Identity()
    )


def _halvings(height: int, width: int) -> int:
    """Return how often both sides can be halved, at most `DEEPEST` times.

    Raises:
        UsageError: an odd side.
    """
    count = 0
    while count < DEEPEST and height % 2 == width % 2 == 0:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        raise UsageError(
            f"the unet translator halves its maps, and these images are {height}×{width}. "
            "Set --size to an even number, best a power of 2."
        )
    return count
