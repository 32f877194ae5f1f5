"""The residual networks of R3GAN, for square images of 16, 32, 64, 128 or 256 pixels.

Generator and discriminator mirror each other: two blocks at each side from 4 pixels up to that of the image,
with bilinear resampling in between, and no normalisation. The largest maps have `width` channels, and channels
double as the side halves, up to 768 or `width`. With widths of 768 for 32 pixels, 384 for 64 and 96 for 256, and
of 1536 for ImageNet at 32 and 64 pixels, these are the published networks.

A block is an inverted bottleneck: a 1×1 convolution to twice the channels, a 3×3 one in groups of 16 channels, and
a 1×1 one back. Where 16 does not divide twice the channels, groups have their largest divisor below 16, so that
maps of 4 channels have a single group of 8.

References:
    Huang et al., 2024. The GAN is dead; long live the GAN! A Modern GAN Baseline. arXiv:2501.05441.
    Zhang, Dauphin and Ma, 2019. Fixup Initialization: Residual Learning Without Normalization. arXiv:1901.09321.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from genlab.architectures.attention import SelfAttention
from genlab.architectures.conditional import ConditionalSequential
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import NormName
from genlab.architectures.parts import Features, MakeNorm, check_attention, side_of
from genlab.architectures.resampling import Halved
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

SIZES = (16, 32, 64, 128, 256)
BASE = 4  # side of the smallest maps
WIDEST = 768  # channels, unless `width` is larger
BLOCKS = 2  # at each side
EXPANSION = 2  # channels inside a block to those of its maps
GROUP = 16  # channels of a group at most
SLOPE = 0.2
GAIN = (2 / (1 + SLOPE**2)) ** 0.5  # keeps the variance through a leaky ReLU


def decoder(
    latent: int, modality: Modality, width: int, *, norm: MakeNorm | None = None, attention: int | None = None
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    It has no normalisation: `norm` is ignored.

    Args:
        latent: dimensions of the latent.
        modality: of the output.
        width: channels next to the image.
        norm: ignored.
        attention: side of the feature maps that get self-attention, after their blocks.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    maps = _maps(side_of(modality, SIZES, "r3gan"), width, attention)[::-1]
    (_, first), (_, last) = maps[0], maps[-1]
    layers: list[nn.Module] = [_Basis(latent, first), *_blocks(*maps[0], attention)]
    for (_, inputs), (side, outputs) in pairwise(maps):
        layers += [
            *_changing(inputs, outputs),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            *_blocks(side, outputs, attention),
        ]
    return MixedSequential(*layers, _linear(last, modality.shape[0]))


def features(
    modality: Modality,
    width: int,
    *,
    norm: NormName = "none",
    dropout: float = 0.0,
    attention: int | None = None,
) -> Features:
    """Return a network from images (B, C, H, W) to features (B, channels).

    Each feature weighs the positions of one of the last 4×4 maps. Dropout acts on the features.

    Raises:
        UsageError: a normalisation, a size that the architecture does not support, or attention at a side that no
            map has.
    """
    if norm != "none":
        raise UsageError(
            f'the r3gan architecture has no normalisation, and norm "{norm}" is one. Set --discriminator-norm '
            "none, or use --architecture dcgan or resnet."
        )
    maps = _maps(side_of(modality, SIZES, "r3gan"), width, attention)
    (_, first), (_, last) = maps[0], maps[-1]
    layers: list[nn.Module] = [_linear(modality.shape[0], first), *_blocks(*maps[0], attention)]
    for (_, inputs), (side, outputs) in pairwise(maps):
        layers += [Halved(inputs), *_changing(inputs, outputs), *_blocks(side, outputs, attention)]
    layers += [nn.Conv2d(last, last, BASE, groups=last, bias=False), nn.Flatten()]
    if dropout:
        layers.append(Dropout(dropout))
    return Features(MixedSequential(*layers), last)


def initialise(network: nn.Module) -> None:
    """Initialise weights from N(0, gain²/inputs), the last ones of each block and all biases with 0.

    Each block begins as the identity. The gain is 1, and √(2/1.04)·L^(−¼) before a leaky ReLU, with L the number
    of blocks, so that all blocks together change the output as much as one would.
    """
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    inner = {convolution for block in blocks for convolution in (block.expand, block.mix)}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            gain = GAIN * len(blocks) ** -0.25 if module in inner else 1.0
            nn.init.normal_(module.weight, 0.0, gain * module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _Basis):
            nn.init.normal_(module.maps)
    for block in blocks:
        nn.init.zeros_(block.contract.weight)


class Block(nn.Module):
    """x + W₃ φ(W₂ ⋆ φ(W₁ x + b₁) + b₂) with the leaky ReLU φ, 1×1 kernels W₁ and W₃, and grouped 3×3 ones W₂."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = EXPANSION * channels
        group = max(size for size in range(1, GROUP + 1) if inside % size == 0)
        self.expand = nn.Conv2d(channels, inside, 1)
        self.mix = nn.Conv2d(inside, inside, 3, padding=1, groups=inside // group)
        self.contract = _linear(inside, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        inner = leaky_relu(self.expand(maps), SLOPE)
        inner = leaky_relu(self.mix(inner), SLOPE)
        result: Tensor = maps + self.contract(inner)
        return result


class _Basis(nn.Module):
    """(B, latent) to (B, channels, 4, 4): each channel is a learned map times a linear function of the latent."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, channels, bias=False)
        self.maps = nn.Parameter(torch.empty(channels, BASE, BASE))

    def forward(self, latents: Tensor) -> Tensor:
        """Return the maps."""
        result: Tensor = self.linear(latents)[:, :, None, None] * self.maps
        return result


def _maps(side: int, width: int, attention: int | None) -> list[tuple[int, int]]:
    """Return the side and the channels of the maps, from those of the image down to those of 4 pixels."""
    sides = [side // 2**level for level in range((side // BASE).bit_length())]
    check_attention(attention, sides)
    return [(reached, min(width * side // reached, max(width, WIDEST))) for reached in sides]


def _blocks(side: int, channels: int, attention: int | None) -> list[nn.Module]:
    return [*(Block(channels) for _ in range(BLOCKS)), *([SelfAttention(channels)] if side == attention else [])]


def _changing(inputs: int, outputs: int) -> list[nn.Module]:
    return [_linear(inputs, outputs)] if inputs != outputs else []


def _linear(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)
