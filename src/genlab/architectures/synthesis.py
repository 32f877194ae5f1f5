"""The synthesis networks of StyleGAN and StyleGAN 2: from styles to an image.

Both begin with a learned constant of 4×4 and double its side until it is that of the image, with two layers at
each side. Each layer has a style and noise of its own: a number for each pixel, times a strength that begins at 0.

References:
    Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for GANs. arXiv:1812.04948.
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN. arXiv:1912.04958.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.architectures.attention import SelfAttention
from genlab.architectures.convolution import Conv2d
from genlab.architectures.equalised import equalised
from genlab.architectures.mapping_network import activated
from genlab.architectures.mixed import Mixed
from genlab.architectures.modulated import AdaptiveInstanceNorm, ModulatedConv2d
from genlab.architectures.resampling import ConvolvedUp, Doubled

Noise = Sequence[Tensor] | None
"""The noise of each layer, (B or 1, 1, side, side); None for none."""


class Synthesis(Mixed):
    """Styles (B, style_layers, style), or one for all layers (B, style), to pre-activations of an image.

    Args:
        channels: of the image.
        widths: channels of the maps by their side, from 4 upwards.
        style: size of a style.
        noisy: whether layers take noise.
        attention: side of the maps that get self-attention.
    """

    def __init__(
        self,
        channels: int,
        widths: dict[int, int],
        style: int,
        *,
        noisy: bool = True,
        attention: int | None = None,
    ) -> None:
        super().__init__()
        first, *_, self.side = widths
        self.style_layers = 2 * len(widths)
        self.constant = nn.Parameter(torch.randn(1, widths[first], first, first))
        self.attention_side = attention
        self.attention = None if attention is None else SelfAttention(widths[attention])
        self.blocks = nn.ModuleDict()
        inputs = widths[first]
        for side, outputs in widths.items():
            self.blocks[str(side)] = self.block(inputs, outputs, style, grows=side > first, noisy=noisy)
            inputs = outputs

    @staticmethod
    @abstractmethod
    def block(inputs: int, outputs: int, style: int, *, grows: bool, noisy: bool) -> nn.ModuleList:
        """Return the layers (maps, style, noise) -> maps at one side; the first doubles it if it `grows`."""

    @abstractmethod
    def picture(self, styles: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        """Return the pre-activations of images for styles (B, style_layers, style)."""

    @property
    def noise_sides(self) -> list[int]:
        """The side of the noise of each layer."""
        return [int(side) for side, layers in self.blocks.items() for _ in layers.children()]

    def forward(self, styles: Tensor, noise: Noise = None) -> Tensor:
        """Return pre-activations (B, C, H, W) of images."""
        if styles.ndim == 2:
            styles = styles[:, None].expand(-1, self.style_layers, -1)
        with self.shortened(styles.device):
            made = self.picture(styles, [None] * len(self.noise_sides) if noise is None else noise)
        return self.restored(made)

    def started(self, styles: Tensor) -> Tensor:
        """Return the constant for each of the styles."""
        return self.rounded(self.constant.expand(styles.shape[0], -1, -1, -1))

    def attended(self, maps: Tensor, side: str) -> Tensor:
        """Return maps after self-attention, if those of this side have it."""
        return self.attention(maps) if self.attention is not None and int(side) == self.attention_side else maps


class AdainSynthesis(Synthesis):
    """The network of StyleGAN: convolution, noise, leaky ReLU, adaptive instance normalisation; RGB at the end."""

    def __init__(
        self,
        channels: int,
        widths: dict[int, int],
        style: int,
        *,
        noisy: bool = True,
        attention: int | None = None,
    ) -> None:
        super().__init__(channels, widths, style, noisy=noisy, attention=attention)
        nn.init.ones_(self.constant)
        self.rgb = equalised(Conv2d(widths[self.side], channels, 1))

    @staticmethod
    def block(inputs: int, outputs: int, style: int, *, grows: bool, noisy: bool) -> nn.ModuleList:
        """Return two layers; in the first block the constant takes the place of the first convolution."""
        first = AdainLayer(inputs, outputs, style, convolve="up" if grows else "none", noisy=noisy)
        return nn.ModuleList([first, AdainLayer(outputs, outputs, style, convolve="same", noisy=noisy)])

    def picture(self, styles: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        """Return the pre-activations of images for styles (B, style_layers, style)."""
        maps, number = self.started(styles), 0
        for side, layers in self.blocks.items():
            for layer in layers.children():
                maps = layer(maps, styles[:, number], noise[number])
                number += 1
            maps = self.attended(maps, side)
        picture: Tensor = self.rgb(maps)
        return picture


class ModulatedSynthesis(Synthesis):
    """The network of StyleGAN 2: modulated convolution, noise, leaky ReLU; the image is a sum over all sides."""

    def __init__(
        self,
        channels: int,
        widths: dict[int, int],
        style: int,
        *,
        noisy: bool = True,
        attention: int | None = None,
    ) -> None:
        super().__init__(channels, widths, style, noisy=noisy, attention=attention)
        self.rgb = nn.ModuleDict(
            {str(side): ToRGB(width, channels, style, grows=side > 4) for side, width in widths.items()}
        )

    @staticmethod
    def block(inputs: int, outputs: int, style: int, *, grows: bool, noisy: bool) -> nn.ModuleList:
        """Return two layers, or one for the constant."""
        first = [ModulatedLayer(inputs, outputs, style, up=True, noisy=noisy)] if grows else []
        return nn.ModuleList([*first, ModulatedLayer(outputs, outputs, style, up=False, noisy=noisy)])

    def picture(self, styles: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        """Return the pre-activations of images; the RGB layer of a side has the style of the layer after it."""
        maps, number, picture = self.started(styles), 0, torch.zeros(())
        for side, layers in self.blocks.items():
            for layer in layers.children():
                maps = layer(maps, styles[:, number], noise[number])
                number += 1
            maps = self.attended(maps, side)
            picture = self.rgb[side](maps, styles[:, number], picture)
        return picture


class AdainLayer(nn.Module):
    """Convolution, noise, bias, leaky ReLU, adaptive instance normalisation."""

    def __init__(self, inputs: int, outputs: int, style: int, *, convolve: str, noisy: bool) -> None:
        super().__init__()
        none = convolve == "none"
        self.convolution = None if none else equalised(Conv2d(inputs, outputs, 3, padding=1, bias=False))
        self.up = ConvolvedUp(outputs) if convolve == "up" else None
        self.strength = nn.Parameter(torch.zeros(outputs, 1, 1)) if noisy else None
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.norm = AdaptiveInstanceNorm(outputs, style)

    def forward(self, maps: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """Return maps (B, outputs, H, W), of twice the side if the layer enlarges."""
        if self.convolution is not None:
            maps = self.up(maps, self.convolution.weight) if self.up else self.convolution(maps)
        made: Tensor = self.norm(activated(_noisy(maps, self.strength, noise) + self.bias.to(maps.dtype)), style)
        return made


class ModulatedLayer(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style: int, *, up: bool, noisy: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, outputs, 3, style, up=up)
        self.strength = nn.Parameter(torch.zeros(())) if noisy else None
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, maps: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """Return maps (B, outputs, H, W), of twice the side if the layer enlarges."""
        maps = self.convolution(maps, style)
        return activated(_noisy(maps, self.strength, noise) + self.bias.to(maps.dtype))


class ToRGB(nn.Module):
    """Adds the colours of maps, a modulated 1×1 convolution, to the image so far at half the side."""

    def __init__(self, inputs: int, channels: int, style: int, *, grows: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, channels, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.doubled = Doubled(channels) if grows else None

    def forward(self, maps: Tensor, style: Tensor, before: Tensor) -> Tensor:
        """Return the image (B, channels, H, W)."""
        picture: Tensor = self.convolution(maps, style) + self.bias.to(maps.dtype)
        return picture if self.doubled is None else picture + self.doubled(before)


def _noisy(maps: Tensor, strength: Tensor | None, noise: Tensor | None) -> Tensor:
    """Return maps + strength · noise."""
    return maps if strength is None or noise is None else maps + (strength * noise).to(maps.dtype)
