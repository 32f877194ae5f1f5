"""The convolutional networks of DCGAN, for square images of 16 to 256 pixels.

Between 4×4 and the image every layer halves or doubles the side; channels double as the side halves, from
`width` next to the image up to 8·width. All weights are initialised from N(0, 0.02), as in the paper.

References:
    Radford, Metz and Chintala, 2015. Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks. arXiv:1511.06434.
    Odena, Dumoulin and Olah, 2016. Deconvolution and Checkerboard Artifacts. distill.pub.
"""

from itertools import pairwise

from torch import Tensor, nn

from genlab.architectures.attention import SelfAttention
from genlab.architectures.conditional import ConditionalSequential
from genlab.architectures.convolution import Conv2d, ConvTranspose2d
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import BatchNorm2d, NormName, make_norm
from genlab.architectures.parts import Features, MakeNorm, check_attention, side_of
from genlab.core.modality import Modality

SIZES = (16, 32, 64, 128, 256)
WIDEST = 8  # times `width`: the paper's 1024 channels at 4×4 are 8 times its 128 at 32×32
BASE = 4


def decoder(
    latent: int,
    modality: Modality,
    width: int,
    *,
    norm: MakeNorm = BatchNorm2d,
    attention: int | None = None,
    upsample: bool = False,
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Args:
        latent: dimensions of the latent.
        modality: of the output.
        width: channels of the layer next to the image.
        norm: makes the normalisation for a number of channels.
        attention: side of the feature maps that get self-attention.
        upsample: nearest-neighbour upsampling and a 3×3 convolution instead of each 4×4 transposed convolution;
            avoids checkerboard patterns.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    doubled = _upsampled if upsample else _transposed
    widths = _widths(modality, width)[::-1]
    sides = [BASE * 2**level for level in range(len(widths))]
    check_attention(attention, sides)
    layers: list[nn.Module] = [_AsImage(), ConvTranspose2d(latent, widths[0], BASE, bias=False)]
    for side, (inputs, outputs) in zip(sides, pairwise([*widths, modality.shape[0]]), strict=True):
        layers += [norm(inputs), nn.ReLU()]
        if side == attention:
            layers.append(SelfAttention(inputs))
        layers += doubled(inputs, outputs, bias=side == sides[-1])
    return MixedSequential(*layers)


def features(
    modality: Modality, width: int, *, norm: NormName = "batch", dropout: float = 0.0, attention: int | None = None
) -> Features:
    """Return a network from images (B, C, H, W) to the flattened 4×4 map, (B, channels·16).

    The first layer has no normalisation, as in the paper.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    widths = _widths(modality, width)
    sides = [modality.shape[1] // 2 ** (level + 1) for level in range(len(widths))]
    check_attention(attention, sides)
    layers: list[nn.Module] = []
    for side, (inputs, outputs) in zip(sides, pairwise([modality.shape[0], *widths]), strict=True):
        normalised = norm != "none" and side != sides[0]
        layers.append(Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=not normalised))
        if normalised:
            layers.append(make_norm(norm, outputs))
        layers.append(nn.LeakyReLU(0.2))
        if dropout:
            layers.append(Dropout(dropout))
        if side == attention:
            layers.append(SelfAttention(outputs))
    return Features(MixedSequential(*layers, _Flatten()), widths[-1] * BASE**2)


def initialise(network: nn.Module) -> None:
    """Initialise weights from N(0, 0.02), gains from N(1, 0.02) and biases to 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)


def _widths(modality: Modality, width: int) -> list[int]:
    """Return the channels of the layers, from the one next to the image to the one at 4×4."""
    halvings = side_of(modality, SIZES, "dcgan").bit_length() - 3  # 16 -> 2, 32 -> 3, ..., 256 -> 6
    return [width * min(2**level, WIDEST) for level in range(halvings)]


class _Flatten(nn.Module):
    """(B, C, H, W) to (B, H·W·C), in the order of memory, channels last: copies neither maps nor gradient."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class _AsImage(nn.Module):
    """(B, latent) to (B, latent, 1, 1)."""

    def forward(self, latents: Tensor) -> Tensor:
        return latents[:, :, None, None]


def _transposed(inputs: int, outputs: int, *, bias: bool) -> list[nn.Module]:
    return [ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)]


def _upsampled(inputs: int, outputs: int, *, bias: bool) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2, mode="nearest"), Conv2d(inputs, outputs, 3, padding=1, bias=bias)]
