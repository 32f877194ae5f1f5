"""The networks of progressive growing, for square images of 4 to 512 pixels whose side is a power of 2.

Layers for one side are the same, and have the same names, whatever the side of the image: a run that doubles the
side keeps them. The channels at side s are min(`width` · side / s, 512), so that `width` belongs to the layer next
to the image. The newest layers fade in: with α from 0 to 1, the image is 1 − α times that of the layers before,
enlarged, plus α times that of the newest, and the discriminator mixes its features likewise.

References:
    Karras, Aila, Laine and Lehtinen, 2018. Progressive Growing of GANs for Improved Quality, Stability, and
    Variation. arXiv:1710.10196.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from genlab.architectures.conditional import Conditional, ConditionalSequential
from genlab.architectures.dropout import Dropout
from genlab.architectures.mapping_network import pixel_norm
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import NormName
from genlab.architectures.parts import Features, MakeNorm, check_attention, side_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

SIZES = (4, 8, 16, 32, 64, 128, 256, 512)
BASE = 4
MOST = 512  # channels
SLOPE = 0.2
WHOLE = 2**16  # α is kept as a whole number of this many parts, which an average of weights copies as it is


class Fades(nn.Module):
    """A network whose newest layers fade in."""

    fade: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fade", torch.tensor(WHOLE))

    def set_fade(self, alpha: float) -> None:
        """Set α, the part of the newest layers."""
        self.fade.fill_(round(alpha * WHOLE))

    def mixed(self, before: Tensor, newest: Tensor) -> Tensor:
        """Return (1 − α) `before` + α `newest`."""
        return torch.lerp(before, newest, (self.fade / WHOLE).to(newest.dtype))


def set_fade(model: nn.Module, alpha: float) -> None:
    """Set α in all networks of `model`."""
    for module in model.modules():
        if isinstance(module, Fades):
            module.set_fade(alpha)


def decoder(
    latent: int, modality: Modality, width: int, *, norm: MakeNorm | None = None, attention: int | None = None
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Features are normalised by their root mean square at each position (pixel norm); `norm` is not used.

    Raises:
        UsageError: a size that the architecture does not support, or an attention, which it does not have.
    """
    check_attention(attention, ())
    return ConditionalSequential(_Generator(latent, modality, width))


def features(
    modality: Modality, width: int, *, norm: NormName = "none", dropout: float = 0.0, attention: int | None = None
) -> Features:
    """Return a network from images (B, C, H, W) to feature vectors (B, channels), on which dropout acts.

    Raises:
        UsageError: a size that the architecture does not support, or a norm or an attention, which it does not
            have.
    """
    check_attention(attention, ())
    if norm != "none":
        raise UsageError(
            f"--discriminator-norm {norm}: the progressive architecture has no normalisation. Leave it out."
        )
    network = _Features(modality, width, dropout)
    return Features(network, network.size)


def _channels(modality: Modality, width: int) -> dict[int, int]:
    """Return the channels at each side, from 4 to that of the image."""
    side = side_of(modality, SIZES, "progressive")
    return {at: min(width * side // at, MOST) for at in SIZES if at <= side}


class _Generator(Conditional, Mixed, Fades):
    def __init__(self, latent: int, modality: Modality, width: int) -> None:
        super().__init__()
        channels = _channels(modality, width)
        *before, self.side = channels
        self.first = nn.Sequential(
            nn.Linear(latent, channels[BASE] * BASE**2),
            nn.Unflatten(1, (channels[BASE], BASE, BASE)),
            _Activated(),
            nn.Conv2d(channels[BASE], channels[BASE], 3, padding=1),
            _Activated(),
        )
        self.blocks = nn.ModuleDict(
            {str(2 * at): _up(channels[at], channels[2 * at]) for at in before}  # by the side that they make
        )
        self.images = nn.ModuleDict(
            {str(at): nn.Conv2d(channels[at], modality.shape[0], 1) for at in [*before[-1:], self.side]}
        )

    def forward(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the pre-activations of an image, in float32."""
        with self.shortened(latents.device):
            maps = before = self.first(pixel_norm(latents))
            for block in self.blocks.values():
                before, maps = maps, block(maps)
            image = self.images[str(self.side)](maps)
            if self.side > BASE:
                small = self.images[str(self.side // 2)](before)
                image = self.mixed(interpolate(small, scale_factor=2, mode="nearest"), image)
        return self.restored(image)


class _Features(Mixed, Fades):
    def __init__(self, modality: Modality, width: int, dropout: float) -> None:
        super().__init__()
        channels = _channels(modality, width)
        *before, self.side = channels
        self.size = channels[BASE]
        self.images = nn.ModuleDict(
            {str(at): _from_image(modality.shape[0], channels[at]) for at in [*before[-1:], self.side]}
        )
        self.blocks = nn.ModuleDict(
            {str(2 * at): _down(channels[2 * at], channels[at]) for at in reversed(before)}
        )
        self.last = nn.Sequential(
            nn.Conv2d(self.size, self.size, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(self.size * BASE**2, self.size),
            nn.LeakyReLU(SLOPE),
            *([Dropout(dropout)] if dropout else []),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the features, in float32."""
        with self.shortened(images.device):
            maps = self.images[str(self.side)](images)
            for side, block in self.blocks.items():
                maps = block(maps)
                if side == str(self.side):
                    maps = self.mixed(self.images[str(self.side // 2)](avg_pool2d(images, 2)), maps)
            maps = self.last(maps)
        return self.restored(maps)


class _Activated(nn.Module):
    """Leaky ReLU, then pixel norm."""

    def forward(self, maps: Tensor) -> Tensor:
        return pixel_norm(leaky_relu(maps, SLOPE))


def _up(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(inputs, outputs, 3, padding=1),
        _Activated(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        _Activated(),
    )


def _down(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.AvgPool2d(2),
    )


def _from_image(channels: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, outputs, 1), nn.LeakyReLU(SLOPE))
