"""A small convolutional network in each direction: `--architecture small-convs`."""

from math import prod

from torch import nn

import genlab

Shape = tuple[int, ...]


@genlab.part("architecture", "small-convs")
class SmallConvs:
    """Two layers of convolutions at a half and a quarter of the resolution.

    Args:
        kernel: side of the convolutions, an odd number of pixels.
    """

    @staticmethod
    def decoder(input_shape: Shape, output_shape: Shape, *, width: int, kernel: int = 3) -> nn.Module:
        """Return a generator: latents (B, latent) to images (B, C, H, W) before tanh."""
        channels, *sides = output_shape
        quarter = [side // 4 for side in sides]
        return nn.Sequential(
            nn.Linear(*input_shape, 2 * width * prod(quarter)),
            nn.Unflatten(1, (2 * width, *quarter)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * width, width, kernel, padding="same", bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Upsample(size=sides),
            nn.Conv2d(width, channels, kernel, padding="same"),
        )

    @staticmethod
    def encoder(input_shape: Shape, output_shape: Shape, *, width: int, kernel: int = 3) -> nn.Module:
        """Return an encoder or a discriminator: images (B, C, H, W) to vectors (B, features)."""
        strided = {"stride": 2, "padding": kernel // 2}
        return nn.Sequential(
            nn.Conv2d(input_shape[0], width, kernel, **strided),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, kernel, **strided, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(4 * 4 * 2 * width, *output_shape),
        )

    @staticmethod
    def translator(input_shape: Shape, output_shape: Shape, *, width: int, kernel: int = 3) -> nn.Module:
        """Return a network that translates images: images to images before tanh."""
        return nn.Sequential(
            nn.Conv2d(input_shape[0], width, kernel, padding="same"),
            nn.ReLU(),
            nn.Conv2d(width, output_shape[0], kernel, padding="same"),
        )

    @staticmethod
    def restorer(input_shape: Shape, output_shape: Shape, *, width: int, kernel: int = 3) -> nn.Module:
        """Return a network that restores images: images to images of the same size."""
        return nn.Sequential(
            nn.Conv2d(input_shape[0], width, kernel, padding="same"),
            nn.ReLU(),
            nn.Conv2d(width, output_shape[0], kernel, padding="same"),
        )

    @staticmethod
    def denoiser(input_shape: Shape, output_shape: Shape, *, width: int, kernel: int = 3) -> nn.Module:
        """Return the network of a diffusion model: images with a channel for the time to images."""
        return nn.Sequential(
            nn.Conv2d(input_shape[0], width, kernel, padding="same"),
            nn.SiLU(),
            nn.Conv2d(width, width, kernel, padding="same"),
            nn.SiLU(),
            nn.Conv2d(width, output_shape[0], kernel, padding="same"),
        )
