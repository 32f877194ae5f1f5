"""The residual network that translates images in CycleGAN, CUT and StarGAN.

References:
    Johnson, Alahi and Fei-Fei, 2016. Perceptual Losses for Real-Time Style Transfer. arXiv:1603.08155.
    Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, section 7.2.
    arXiv:1703.10593.
    Choi et al., 2018. StarGAN, table 4. arXiv:1711.09020.
"""

from itertools import pairwise

from torch import Tensor, nn

from genlab.architectures.convolution import Conv2d
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import NormName, make_norm
from genlab.architectures.translator_parts import Doubled, JoinLabelPlanes, UpsamplingName, initialise, sides_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

LARGE = 128  # largest side of images that six residual blocks are enough for, as in the authors' code
LEAST = 8  # of 2 pixels, the least that can be reflected, are four times as many
ENCODER = 5  # residual blocks of the encoder; the others belong to the decoder


class ResnetTranslator(Mixed):
    """A network (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W).

    7×7 convolution, two halvings, residual blocks, two doublings, 7×7 convolution; `width` channels at the image.
    Borders are reflected in all layers of stride 1. Sides are multiples of 4.

    With labels the first layer is not normalised, because instance normalisation subtracts what a constant plane
    adds; in StarGAN, the label is seen only by borders of zeros.

    Published with transposed convolutions of 3×3 (CycleGAN) or 4×4 weights (StarGAN, also in the halvings).

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels next to the image.
        norm: normalisation after each convolution but the last, and the first if there are labels.
        upsampling: how the maps are doubled.
        dropout: fraction of the activations in residual blocks that is dropped in training.
        blocks: residual blocks; None takes 6 up to 128 pixels and 9 above.
        classes: number of labels, which enter as constant planes; 0 for none.

    Raises:
        UsageError: sides that are no multiples of 4, or below 8.
    """

    multiple = 4

    def __init__(
        self,
        source: Modality,
        target: Modality,
        width: int,
        *,
        norm: NormName = "instance",
        upsampling: UpsamplingName = "upsample",
        dropout: float = 0.0,
        blocks: int | None = None,
        classes: int = 0,
    ) -> None:
        super().__init__()
        channels, *sides = sides_of(source, target, "resnet")
        if any(side % self.multiple or side < LEAST for side in sides):
            raise UsageError(
                f"the resnet translator takes sides of 8, 12, 16, … pixels, and these images are {sides[0]}×"
                f"{sides[1]}. Set --size to a multiple of 4."
            )
        self.labels = JoinLabelPlanes(classes)
        self.first = _layer(channels + classes, width, 7, "none" if classes else norm)
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(_layer(*both, 3, norm, stride=2) for both in pairwise(widths))
        count = blocks or (6 if max(sides) <= LARGE else 9)
        self.blocks = nn.ModuleList(_Residual(widths[-1], norm, dropout) for _ in range(count))
        self.up = nn.ModuleList(
            nn.Sequential(
                Doubled(*both, upsampling, bias=norm == "none"), make_norm(norm, both[1]), nn.ReLU(inplace=True)
            )
            for both in pairwise(reversed(widths))
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(3), Conv2d(width, target.shape[0], 7))
        few = channels + classes, *widths[1:], widths[-1]
        self.encoded_channels = few if count == 1 else (*few, widths[-1])
        initialise(self)

    def forward(self, source: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the raw outputs (B, C', H, W) of sources (B, C, H, W)."""
        with self.shortened(source.device):
            maps = self._encoded(source, condition)[-1]
            for layer in [*self.blocks[ENCODER:], *self.up]:
                maps = layer(maps)
            made: Tensor = self.last(maps)
        return self.restored(made)

    def encoded(self, source: Tensor, condition: Condition = NONE) -> list[Tensor]:
        """Return the maps (B, C, h, w) of five layers of the encoder, with which `forward` goes on.

        They are the input, both halvings, the first and the fifth residual block; the last one if there are fewer
        than five, and no such map if there is one block.

        References:
            Park et al., 2020. Contrastive Learning for Unpaired Image-to-Image Translation. arXiv:2007.15651.
        """
        with self.shortened(source.device):
            kept = self._encoded(source, condition)
        return [self.restored(maps) for maps in kept]

    def _encoded(self, source: Tensor, condition: Condition) -> list[Tensor]:
        kept = [self.labels(source, condition)]
        maps = self.first(kept[0])
        for layer in self.down:
            maps = layer(maps)
            kept.append(maps)
        first, *others = self.blocks[:ENCODER]
        kept.append(first(maps))
        if others:
            maps = kept[-1]
            for block in others:
                maps = block(maps)
            kept.append(maps)
        return kept


class _Residual(nn.Module):
    """x + norm(conv(dropout(relu(norm(conv(x)))))), with reflected borders."""

    def __init__(self, channels: int, norm: NormName, dropout: float) -> None:
        super().__init__()
        second = nn.Sequential(
            nn.ReflectionPad2d(1), Conv2d(channels, channels, 3, bias=norm == "none"), make_norm(norm, channels)
        )
        self.inner = nn.Sequential(
            _layer(channels, channels, 3, norm), *([Dropout(dropout)] if dropout else []), second
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        result: Tensor = maps + self.inner(maps)
        return result


def _layer(inputs: int, outputs: int, side: int, norm: NormName, stride: int = 1) -> nn.Sequential:
    """Return a convolution, normalisation and ReLU; borders are reflected if the side of the maps stays."""
    reach, bias = side // 2, norm == "none"
    if stride == 1:
        layers = [nn.ReflectionPad2d(reach), Conv2d(inputs, outputs, side, bias=bias)]
    else:
        layers = [Conv2d(inputs, outputs, side, stride=stride, padding=reach, bias=bias)]
    return nn.Sequential(*layers, make_norm(norm, outputs), nn.ReLU(inplace=True))
