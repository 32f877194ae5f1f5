"""The convolutional networks of DCGAN, for square images of 16 to 256 pixels.

Between 4×4 and the image every layer halves or doubles the side; channels double as the side halves, from
`width` next to the image up to 8·width. All weights start at N(0, 0.02), as the paper says.

References:
    Radford, Metz and Chintala, 2015. Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks. arXiv:1511.06434.
    Odena, Dumoulin and Olah, 2016. Deconvolution and Checkerboard Artifacts. distill.pub.
"""

from itertools import pairwise

from torch import Tensor, nn

from genlab.architectures.normalization import BatchNorm2d
from genlab.core.batch import ImageShape
from genlab.core.errors import UsageError

SIZES = (16, 32, 64, 128, 256)
WIDEST = 8  # times `width`: the paper's 1024 channels at 4×4 are 8 times its 128 at 32×32


def _widths(shape: ImageShape, width: int) -> list[int]:
    """Channels from the layer next to the image to the one at 4×4.

    Raises:
        UsageError: the image is not square or its side is not in `SIZES`.
    """
    if shape.height != shape.width or shape.height not in SIZES:
        raise UsageError(
            f"the dcgan architecture is for square images of {', '.join(map(str, SIZES))} pixels; these are "
            f"{shape.height}×{shape.width}. Set --size, or use --architecture mlp."
        )
    halvings = shape.height.bit_length() - 3  # 16 -> 2, 32 -> 3, ..., 256 -> 6
    return [width * min(2**level, WIDEST) for level in range(halvings)]


def _initialise(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return network


class _AsImage(nn.Module):
    """(B, latent) to (B, latent, 1, 1)."""

    def forward(self, latents: Tensor) -> Tensor:
        return latents[:, :, None, None]


def _transposed(inputs: int, outputs: int, *, bias: bool) -> list[nn.Module]:
    return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)]


def _upsampled(inputs: int, outputs: int, *, bias: bool) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]


def decoder(latent: int, shape: ImageShape, width: int, *, upsample: bool = False) -> nn.Module:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Args:
        latent: dimensions of the latent.
        shape: of the image.
        width: channels of the layer next to the image.
        upsample: nearest-neighbour upsampling and a 3×3 convolution in place of each 4×4 transposed
            convolution, which avoids checkerboard patterns.

    Raises:
        UsageError: a size that the architecture is not for.
    """
    doubled = _upsampled if upsample else _transposed
    widths = _widths(shape, width)[::-1]
    layers: list[nn.Module] = [_AsImage(), nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
    for inputs, outputs in pairwise(widths):
        layers += [BatchNorm2d(inputs), nn.ReLU(), *doubled(inputs, outputs, bias=False)]
    layers += [BatchNorm2d(widths[-1]), nn.ReLU(), *doubled(widths[-1], shape.channels, bias=True)]
    return _initialise(nn.Sequential(*layers))


def encoder(shape: ImageShape, outputs: int, width: int) -> nn.Module:
    """Return a network from images (B, C, H, W) to (B, outputs); with one output it is a critic.

    No batch normalisation at the image and none at the end, as the paper says.

    Raises:
        UsageError: a size that the architecture is not for.
    """
    widths = _widths(shape, width)
    layers: list[nn.Module] = [
        nn.Conv2d(shape.channels, widths[0], 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
    ]
    for inputs, doubled in pairwise(widths):
        layers += [
            nn.Conv2d(inputs, doubled, 4, stride=2, padding=1, bias=False),
            BatchNorm2d(doubled),
            nn.LeakyReLU(0.2),
        ]
    layers += [nn.Conv2d(widths[-1], outputs, 4), nn.Flatten()]
    return _initialise(nn.Sequential(*layers))
