"""The residual networks of SN-GAN and WGAN-GP, for square images of 16 to 256 pixels.

Blocks normalise and activate before they convolve. Up to 32 pixels all maps of the discriminator have `width`
channels and all maps of the generator 2·width; for larger images channels start at width/2 next to the image and
double with each halving, up to 8·width. With width 128 these are the published networks for 32, 48 and 128 pixels.

References:
    Gulrajani et al., 2017. Improved Training of Wasserstein GANs, appendix F. arXiv:1704.00028.
    Miyato et al., 2018. Spectral Normalization for Generative Adversarial Networks, appendix B. arXiv:1802.05957.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from genlab.architectures.attention import SelfAttention
from genlab.architectures.conditional import Conditional, ConditionalSequential
from genlab.architectures.convolution import upsampled
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import BatchNorm2d, NormName, make_norm
from genlab.architectures.parts import Features, MakeNorm, check_attention, side_of
from genlab.core.condition import NONE, Condition
from genlab.core.modality import Modality

SIZES = (16, 32, 48, 64, 96, 128, 256)
SMALL = 32  # up to this side all maps have the same number of channels
WIDEST = 8  # times `width`


def decoder(
    latent: int, modality: Modality, width: int, *, norm: MakeNorm = BatchNorm2d, attention: int | None = None
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Args:
        latent: dimensions of the latent.
        modality: of the output.
        width: see the top of this file.
        norm: makes the batch normalisation for a number of channels.
        attention: side of the feature maps that get self-attention, after the block that reaches it.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    base, sides, widths = layout(modality, width, attention, "resnet")
    layers: list[nn.Module] = [nn.Linear(latent, widths[0] * base**2), nn.Unflatten(1, (widths[0], base, base))]
    for reached, (inputs, outputs) in zip(sides, pairwise(widths), strict=True):
        layers.append(Up(inputs, outputs, norm))
        if reached == attention:
            layers.append(SelfAttention(outputs))
    layers += [norm(widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], modality.shape[0], 3, padding=1)]
    return MixedSequential(*layers)


def layout(
    modality: Modality, width: int, attention: int | None, architecture: str
) -> tuple[int, list[int], list[int]]:
    """Return the side of the decoder's first map, the side after each block, and the channels of all these maps.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    side = side_of(modality, SIZES, architecture)
    base = 6 if side % 3 == 0 else 4
    blocks = (side // base).bit_length() - 1
    sides = [base * 2 ** (level + 1) for level in range(blocks)]
    check_attention(attention, sides)
    return base, sides, [2 * width] * (blocks + 1) if side <= SMALL else _doubling(width, blocks + 1)[::-1]


def features(
    modality: Modality, width: int, *, norm: NormName = "batch", dropout: float = 0.0, attention: int | None = None
) -> Features:
    """Return a network from images (B, C, H, W) to the last map, summed over its positions, (B, channels).

    Up to 32 pixels two blocks halve the side and two keep it; for larger images blocks halve it down to 3 or 4,
    and one keeps it. Dropout acts on the sum.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    side = side_of(modality, SIZES, "resnet")
    halvings = 2 if side <= SMALL else (side // 3).bit_length() - 1
    sides = [side // 2 ** (level + 1) for level in range(halvings)]
    check_attention(attention, sides)
    widths = [width] * (halvings + 2) if side <= SMALL else _doubling(width, halvings + 1)
    layers: list[nn.Module] = [First(modality.shape[0], widths[0])]
    for block, (inputs, outputs) in enumerate(pairwise([modality.shape[0], *widths])):
        if block > 0:
            layers.append(Down(inputs, outputs, norm, halve=block < halvings))
        if block < halvings and sides[block] == attention:
            layers.append(SelfAttention(outputs))
    layers += [nn.ReLU(), _SumOverPositions()]
    if dropout:
        layers.append(Dropout(dropout))
    return Features(MixedSequential(*layers), widths[-1])


def initialise(network: nn.Module) -> None:
    """Initialise weights with Xavier uniform, times √2 in a block's residual branch; biases to 0."""
    branches = {
        convolution
        for block in network.modules()
        if isinstance(block, Up | First | Down)
        for convolution in (block.conv1, block.conv2)
    }
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, 2**0.5 if module in branches else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _doubling(width: int, count: int) -> list[int]:
    """Return the channels of `count` maps, from the one next to the image inwards."""
    return [max(1, min(width * 2**level // 2, WIDEST * width)) for level in range(count)]


def _conv3(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


class Up(Conditional):
    """x ↑ through a 1×1 convolution, plus norm, ReLU, ↑, 3×3, norm, ReLU, 3×3; ↑ doubles the side.

    No convolution has a bias: the next batch normalisation removes any constant.
    """

    def __init__(self, inputs: int, outputs: int, norm: MakeNorm) -> None:
        super().__init__()
        self.norm1 = norm(inputs)
        self.conv1 = _conv3(inputs, outputs, bias=False)
        self.norm2 = norm(outputs)
        self.conv2 = _conv3(outputs, outputs, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, maps: Tensor, condition: Condition = NONE) -> Tensor:
        """Return maps of twice the side."""
        inner = relu(_normalised(self.norm1, maps, condition))
        inner = relu(_normalised(self.norm2, upsampled(inner, self.conv1), condition))
        # A 1×1 convolution and nearest-neighbour upsampling commute; this order takes a quarter of the operations.
        result: Tensor = self.conv2(inner) + interpolate(self.shortcut(maps), scale_factor=2, mode="nearest")
        return result


class First(nn.Module):
    """The first block, without norm and ReLU at the image: 3×3, ReLU, 3×3, ↓, plus x through ↓ and 1×1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _conv3(inputs, outputs)
        self.conv2 = _conv3(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps of half the side."""
        inner = avg_pool2d(self.conv2(relu(self.conv1(images))), 2)
        result: Tensor = inner + self.shortcut(avg_pool2d(images, 2))
        return result


class Down(nn.Module):
    """norm, ReLU, 3×3, norm, ReLU, 3×3, and ↓ if `halve`, plus x, through a 1×1 convolution if either changes."""

    def __init__(self, inputs: int, outputs: int, norm: NormName, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.norm1 = make_norm(norm, inputs)
        self.conv1 = _conv3(inputs, inputs, bias=norm == "none")
        self.norm2 = make_norm(norm, inputs)
        self.conv2 = _conv3(inputs, outputs)
        changes = halve or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if changes else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same or half the side."""
        inner = self.conv1(relu(self.norm1(maps)))
        inner = self.conv2(relu(self.norm2(inner)))
        if self.halve:
            inner, maps = avg_pool2d(inner, 2), avg_pool2d(maps, 2)
        result: Tensor = inner + self.shortcut(maps)
        return result


class _SumOverPositions(nn.Module):
    """(B, C, H, W) to (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.sum((2, 3))


def _normalised(norm: nn.Module, maps: Tensor, condition: Condition) -> Tensor:
    result: Tensor = norm(maps, condition) if isinstance(norm, Conditional) else norm(maps)
    return result
