"""The decoder of style transfer: from feature maps at a quarter or an eighth of the side to an image.

References:
    Huang and Belongie, 2017. Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.
    arXiv:1703.06868.
"""

from torch import nn

from genlab.architectures.convolution import Conv2d
from genlab.architectures.mixed import MixedSequential
from genlab.core.modality import Modality

DEEP = 8  # pixels for each position of the features in the paper
FAINT = 0.1  # gain of the last layer at the start, when images are nearly grey


def mirror_decoder(channels: int, target: Modality, width: int, stride: int) -> MixedSequential:
    """Return a network (maps (B, channels, H, W), condition) -> raw outputs (B, C, stride·H, stride·W).

    It mirrors VGG-19 up to its first layer of 512 channels: nearest-neighbour upsampling, 3×3 convolutions with
    reflected borders, no normalisation, because that would remove the style. `width` channels are next to the
    image, 64 in the paper. A stride of 4 leaves out the coarsest layer, 8 is that of the paper.
    """

    def layer(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.ReflectionPad2d(1), Conv2d(inputs, outputs, 3), nn.ReLU()]

    def up() -> nn.Module:
        return nn.Upsample(scale_factor=2, mode="nearest")

    coarse, middle = 4 * width, 2 * width
    network = MixedSequential(
        *([*layer(channels, coarse), up()] if stride == DEEP else []),
        *layer(coarse if stride == DEEP else channels, coarse),
        *layer(coarse, coarse),
        *layer(coarse, coarse),
        *layer(coarse, middle),
        up(),
        *layer(middle, middle),
        *layer(middle, width),
        up(),
        *layer(width, width),
        nn.ReflectionPad2d(1),
        last := Conv2d(width, target.shape[0], 3),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    nn.init.normal_(last.weight, 0.0, FAINT / (9 * width) ** 0.5)
    return network
