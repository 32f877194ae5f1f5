"""The networks of StyleGAN and StyleGAN 2, for square images of 8 to 1024 pixels.

Between the image and 4×4 channels double as the side halves, from `width` at the image up to 8·width: with width
64, the published networks for 256 pixels. A style has as many numbers as a latent.

References:
    Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for GANs. arXiv:1812.04948.
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN. arXiv:1912.04958.
    Karras et al., 2020. Training Generative Adversarial Networks with Limited Data. arXiv:2006.06676.
"""

from collections import OrderedDict
from collections.abc import Mapping as Named

from torch import Tensor, nn

from genlab.architectures.attention import SelfAttention
from genlab.architectures.conditional import ConditionalSequential
from genlab.architectures.convolution import Conv2d
from genlab.architectures.dropout import Dropout
from genlab.architectures.mapping_network import Mapping, activated
from genlab.architectures.minibatch import MinibatchStddev
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import BatchNorm2d, NormName, make_norm
from genlab.architectures.parts import Features, MakeNorm, check_attention, side_of
from genlab.architectures.resampling import Blur, Halved
from genlab.architectures.synthesis import AdainSynthesis, ModulatedSynthesis, Synthesis
from genlab.core.modality import Modality

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
WIDEST = 8  # times `width`
BASE = 4

STYLES: Named[str, type[Synthesis]] = {"stylegan": AdainSynthesis, "stylegan2": ModulatedSynthesis}


class StyleGenerator(ConditionalSequential):
    """A mapping network, latents to styles, and a synthesis network, styles to pre-activations of an image."""

    def __init__(self, mapping: Mapping, synthesis: Synthesis) -> None:
        super().__init__(OrderedDict(mapping=mapping, synthesis=synthesis))
        self.noise_sides, self.style_layers = synthesis.noise_sides, synthesis.style_layers


def generator(
    architecture: str,
    latent: int,
    modality: Modality,
    width: int,
    *,
    layers: int = 8,
    classes: int = 0,
    noisy: bool = True,
    attention: int | None = None,
) -> StyleGenerator:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Args:
        architecture: a name in `STYLES`.
        latent: dimensions of the latent, and of a style.
        modality: of the output.
        width: channels of the maps at the side of the image.
        layers: of the mapping network.
        classes: number of classes, whose vectors the mapping network gets; 0 for no labels.
        noisy: whether the layers of the synthesis network take noise.
        attention: side of the maps that get self-attention.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    widths = dict(reversed(_widths(modality, width, architecture).items()))
    check_attention(attention, widths)
    mapping = Mapping(latent, latent, layers, classes=classes)
    synthesis = STYLES[architecture](modality.shape[0], widths, latent, noisy=noisy, attention=attention)
    return StyleGenerator(mapping, synthesis)


def decoder(
    latent: int,
    modality: Modality,
    width: int,
    *,
    norm: MakeNorm = BatchNorm2d,
    attention: int | None = None,
    architecture: str = "stylegan2",
) -> StyleGenerator:
    """Return the generator without noise: what other families than `families/style_gan.py` take.

    Raises:
        UsageError: as `generator`.
    """
    return generator(architecture, latent, modality, width, noisy=False, attention=attention)


def features(
    modality: Modality,
    width: int,
    *,
    norm: NormName = "none",
    dropout: float = 0.0,
    attention: int | None = None,
    residual: bool = True,
) -> Features:
    """Return a network from images (B, C, H, W) to vectors (B, channels at 4×4).

    The last map gets the standard deviation over the whole batch as a channel (`MinibatchStddev`); the authors
    take groups of 4 images.

    Args:
        modality: of the images.
        width: channels of the maps at the side of the image.
        norm: after each convolution in a block.
        dropout: fraction of the activations after each block that is dropped in training.
        attention: side of the maps that get self-attention.
        residual: whether a shortcut leads around each block, as in StyleGAN 2.

    Raises:
        UsageError: a size that the architecture does not support, or attention at a side that no map has.
    """
    widths = _widths(modality, width, "stylegan2" if residual else "stylegan")
    check_attention(attention, widths)
    side, first = next(iter(widths.items()))
    layers: dict[str, nn.Module] = {f"rgb{side}": _FromRGB(modality.shape[0], first)}
    for (side, inputs), outputs in zip(widths.items(), [*widths.values()][1:], strict=False):
        if side == attention:
            layers["attention"] = SelfAttention(inputs)
        layers[f"block{side}"] = _Down(inputs, outputs, norm, residual=residual)
        if dropout:
            layers[f"dropout{side}"] = Dropout(dropout)
    last = widths[BASE]
    if attention == BASE:
        layers["attention"] = SelfAttention(last)
    return Features(MixedSequential(OrderedDict({**layers, "last": _Last(last, norm)})), last)


def _widths(modality: Modality, width: int, architecture: str) -> dict[int, int]:
    """Return the channels of the maps by their side, from that of the image to 4."""
    side, widths, channels = side_of(modality, SIZES, architecture), {}, width
    while side >= BASE:
        widths[side] = min(channels, WIDEST * width)
        side, channels = side // 2, 2 * channels
    return widths


class _FromRGB(nn.Module):
    """A 1×1 convolution of the image, and leaky ReLU."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.convolution = Conv2d(channels, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        return activated(self.convolution(images))


class _Down(nn.Module):
    """3×3, leaky ReLU, filter, 3×3 at every second pixel, leaky ReLU; plus the maps, filtered, halved and 1×1."""

    def __init__(self, inputs: int, outputs: int, norm: NormName, *, residual: bool) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv1 = Conv2d(inputs, inputs, 3, padding=1, bias=bias)
        self.norm1 = make_norm(norm, inputs)
        self.blur = Blur(inputs, padding=2)
        self.conv2 = Conv2d(inputs, outputs, 3, stride=2, bias=bias)
        self.norm2 = make_norm(norm, outputs)
        self.shortcut = (
            nn.Sequential(Halved(inputs), nn.Conv2d(inputs, outputs, 1, bias=False)) if residual else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the side."""
        inner = activated(self.norm1(self.conv1(maps)))
        inner = activated(self.norm2(self.conv2(self.blur(inner))))
        return inner if self.shortcut is None else (inner + self.shortcut(maps)) * 0.5**0.5


class _Last(nn.Module):
    """Maps (B, C, 4, 4) to features (B, C)."""

    def __init__(self, channels: int, norm: NormName) -> None:
        super().__init__()
        self.deviation = MinibatchStddev(channels)
        self.convolution = Conv2d(channels + 1, channels, 3, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, channels)
        self.linear = nn.Linear(channels * BASE**2, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the features."""
        maps = activated(self.norm(self.convolution(self.deviation(maps))))
        return activated(self.linear(maps.permute(0, 2, 3, 1).flatten(1)))
