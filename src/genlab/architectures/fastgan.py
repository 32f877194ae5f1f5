"""The networks of FastGAN for small data sets, for square images of 16 to 256 pixels.

Between 4×4 and the image every block of the generator doubles the side; channels double as the side halves, from
`width` next to the image up to 16·width. Maps of a small side gate the channels of maps that are 16 times as large
(skip-layer excitation; 4 or 8 times where images are small). The discriminator halves the side down to 8×8.
Weights are initialised as in `dcgan`. Left out: noise that is added to maps, the second of two reconstructions.

References:
    Liu, Zhu, Song and Elgammal, 2021. Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
    Synthesis. arXiv:2101.04775.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, leaky_relu

from genlab.architectures.conditional import Conditional, ConditionalSequential
from genlab.architectures.convolution import Conv2d, ConvTranspose2d
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import Mixed, MixedSequential
from genlab.architectures.normalization import BatchNorm2d, NormName, make_norm
from genlab.architectures.parts import Features, MakeNorm, check_attention, side_of
from genlab.core.condition import NONE, Condition
from genlab.core.modality import Modality

SIZES = (16, 32, 64, 128, 256)
WIDEST = 16  # times `width`
BASE = 4
SMALLEST = 8  # side of the discriminator's last map
REACH = 16  # how many times as large the maps are that a map gates
SLOPE = 0.2


def decoder(
    latent: int, modality: Modality, width: int, *, norm: MakeNorm = BatchNorm2d, attention: int | None = None
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Raises:
        UsageError: a size that the architecture does not support, or an attention, which it does not have.
    """
    check_attention(attention, ())
    return ConditionalSequential(_Generator(latent, modality, width, norm))


def features(
    modality: Modality, width: int, *, norm: NormName = "batch", dropout: float = 0.0, attention: int | None = None
) -> Features:
    """Return a network from images (B, C, H, W) to the flattened 8×8 map, (B, channels·64).

    Raises:
        UsageError: a size that the architecture does not support, or an attention, which it does not have.
    """
    check_attention(attention, ())
    widths = _widths(modality, width)
    layers: list[nn.Module] = [
        Conv2d(modality.shape[0], width, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        *(_Down(inputs, outputs, norm) for inputs, outputs in pairwise(widths)),
        nn.Flatten(),
    ]
    if dropout:
        layers.append(Dropout(dropout))
    return Features(MixedSequential(*layers), widths[-1] * SMALLEST**2)


def reconstruction(modality: Modality, width: int) -> nn.Module:
    """Return a network from these features to images of at most 64 pixels in [-1, 1].

    Raises:
        UsageError: a size that the architecture does not support.
    """
    channels = _widths(modality, width)[-1]
    doublings = (min(modality.shape[-1], 64) // SMALLEST).bit_length() - 1
    widths = [max(8, channels // 2 ** (level + 1)) for level in range(doublings)]
    blocks = (_up(inputs, outputs, BatchNorm2d) for inputs, outputs in pairwise([channels, *widths]))
    last = nn.Conv2d(widths[-1], modality.shape[0], 3, padding=1)
    return MixedSequential(nn.Unflatten(1, (channels, SMALLEST, SMALLEST)), *blocks, last, nn.Tanh())


class _Generator(Conditional, Mixed):
    def __init__(self, latent: int, modality: Modality, width: int, norm: MakeNorm) -> None:
        super().__init__()
        side = side_of(modality, SIZES, "fastgan")
        sides = [BASE * 2**level for level in range((side // BASE).bit_length())]
        channels = {at: min(side // at, WIDEST) * width for at in sides}
        self.first = ConditionalSequential(
            nn.Unflatten(1, (latent, 1, 1)),
            ConvTranspose2d(latent, 2 * channels[BASE], BASE, bias=False),
            norm(2 * channels[BASE]),
            nn.GLU(1),
        )
        self.blocks = nn.ModuleList(_up(channels[low], channels[high], norm) for low, high in pairwise(sides))
        reach = min(REACH, side // BASE)
        self.gates = nn.ModuleDict(
            {str(at): Excitation(channels[at // reach], channels[at]) for at in sides if at // reach >= BASE}
        )
        self.reach = reach
        self.last = nn.Conv2d(width, modality.shape[0], 3, padding=1)

    def forward(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the pre-activations of an image, in float32."""
        with self.shortened(latents.device):
            maps = {BASE: self.first(latents, condition)}
            side = BASE
            for block in self.blocks:
                made, side = block(maps[side], condition), 2 * side
                gated = str(side) in self.gates
                maps[side] = self.gates[str(side)](maps[side // self.reach], made) if gated else made
            image = self.last(maps[side])
        return self.restored(image)


class Excitation(nn.Module):
    """Skip-layer excitation: y · sigmoid(F(x)), F pools the small maps x to 4×4 and gives a gate per channel.

    Args:
        low: channels of the small maps.
        high: channels of the large maps.
    """

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(low, high, BASE, bias=False)
        self.excite = nn.Conv2d(high, high, 1, bias=False)

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Return the large maps (B, high, H, W), gated by the small ones (B, low, h, w)."""
        gates = self.excite(leaky_relu(self.squeeze(adaptive_avg_pool2d(small, BASE)), 0.1))
        result: Tensor = large * gates.sigmoid()
        return result


class _Down(nn.Module):
    """The mean of two paths that halve the side: 4×4 with stride 2 and 3×3; and the mean of 2×2, then 1×1."""

    def __init__(self, inputs: int, outputs: int, norm: NormName) -> None:
        super().__init__()
        bias = norm == "none"
        self.main = nn.Sequential(
            Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias),
            make_norm(norm, outputs),
            nn.LeakyReLU(SLOPE),
            Conv2d(outputs, outputs, 3, padding=1, bias=bias),
            make_norm(norm, outputs),
            nn.LeakyReLU(SLOPE),
        )
        self.direct = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=bias), make_norm(norm, outputs), nn.LeakyReLU(SLOPE)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the side."""
        result: Tensor = (self.main(maps) + self.direct(avg_pool2d(maps, 2))) / 2
        return result


def _up(inputs: int, outputs: int, norm: MakeNorm) -> ConditionalSequential:
    """Return nearest-neighbour upsampling, 3×3, normalisation and a gated linear unit."""
    return ConditionalSequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False),
        norm(2 * outputs),
        nn.GLU(1),
    )


def _widths(modality: Modality, width: int) -> list[int]:
    """Return the channels of the discriminator's maps, from that of the image to that at 8×8."""
    side = side_of(modality, SIZES, "fastgan")
    return [min(2**level, WIDEST) * width for level in range((side // SMALLEST).bit_length())]
