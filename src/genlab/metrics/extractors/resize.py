"""Converts images to the size and the channels that a network was trained on.

References:
    Parmar, Zhang and Zhu, 2022. On Aliased Resizing and Surprising Subtleties in GAN Evaluation. arXiv:2104.11222.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import interpolate

Resize = Literal["antialiased", "legacy"]


def resize(images: Tensor, side: int, how: Resize) -> Tensor:
    """Resize images (B, C, H, W) in [-1, 1] to side × side.

    "antialiased" is Pillow's bicubic filter on float channels, clipped to the range, as in clean-fid; "legacy" is
    bilinear interpolation without antialiasing, as in older figures. Images of this size are unchanged.
    """
    if tuple(images.shape[2:]) == (side, side):
        return images
    if how == "legacy":
        return interpolate(images, (side, side), mode="bilinear", align_corners=False)
    return interpolate(images, (side, side), mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1)


def colour(images: Tensor) -> Tensor:
    """Return images with three channels; grey images are repeated."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def as_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] rounded as if they were stored in 8 bits, so that files and models agree."""
    return ((images * 127.5 + 127.5).round().clamp(0, 255) - 127.5) / 127.5
