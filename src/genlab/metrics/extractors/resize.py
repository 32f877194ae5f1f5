"""Brings images to the side and the channels that a network was trained on.

References:
    Parmar, Zhang and Zhu, 2022. On Aliased Resizing and Surprising Subtleties in GAN Evaluation. arXiv:2104.11222.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import interpolate

Resize = Literal["antialiased", "legacy"]


def resize(images: Tensor, side: int, how: Resize) -> Tensor:
    """Return images (B, C, H, W) in [-1, 1] at side × side.

    "antialiased" is Pillow's bicubic filter on each channel as floats, cut off at the range's ends, as clean-fid
    does it; "legacy" is bilinear interpolation that skips pixels where it makes smaller, as older figures were
    computed. Images that have the side already stay as they are.
    """
    if tuple(images.shape[2:]) == (side, side):
        return images
    if how == "legacy":
        return interpolate(images, (side, side), mode="bilinear", align_corners=False)
    return interpolate(images, (side, side), mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)


def colour(images: Tensor) -> Tensor:
    """Return images of three channels: a grey one three times."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def as_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as they are after being stored in 8 bits: a file has the figures of its model."""
    return ((images * 127.5 + 127.5).round().clamp(0, 255) - 127.5) / 127.5
