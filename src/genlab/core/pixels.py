"""Colours of pixels: the luma of ITU-R BT.601, and CIELAB of sRGB under D65.

References:
    IEC 61966-2-1, 1999. Default RGB colour space, sRGB.
    ISO/CIE 11664-4, 2019. CIE 1976 L*a*b* colour space.
"""

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue

TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)  # of linear red, green and blue
DARK, SLOPE, OFFSET, GAMMA = 0.0031308, 12.92, 0.055, 2.4  # of sRGB
DELTA = 6 / 29  # where the cube root of CIELAB becomes a line
REACH = 110.0  # |a| and |b| of the most saturated colours of sRGB
HALVINGS = 10  # of the share of the chroma that is kept: 1/1024
ROUNDING = 1e-4  # by which linear numbers may leave [0, 1]


def to_lab(images: Tensor) -> Tensor:
    """Return CIELAB (B, 3, H, W) of sRGB images in [-1, 1]: L in [0, 100], a and b; they are 0 for grey.

    Numbers outside [-1, 1] continue the curves, so that `from_lab` is the inverse for all colours.
    """
    encoded = (images + 1) / 2
    bright = ((encoded.clamp_min(SLOPE * DARK) + OFFSET) / (1 + OFFSET)) ** GAMMA
    linear = torch.where(encoded > SLOPE * DARK, bright, encoded / SLOPE)
    matrix = _to_white(images)
    share = _mixed(matrix, linear)
    root = torch.where(share > DELTA**3, share.clamp_min(DELTA**3) ** (1 / 3), share / (3 * DELTA**2) + 4 / 29)
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def from_lab(lab: Tensor) -> Tensor:
    """Return sRGB images (B, 3, H, W) of CIELAB; colours that sRGB lacks leave [-1, 1]."""
    linear = _linear(lab)
    bright = (1 + OFFSET) * linear.clamp_min(DARK) ** (1 / GAMMA) - OFFSET
    return 2 * torch.where(linear > DARK, bright, SLOPE * linear) - 1


def into_gamut(lab: Tensor) -> Tensor:
    """Return CIELAB (B, 3, H, W) whose a and b are scaled down to colours that sRGB has; L is kept."""
    light, colour = lab[:, :1], lab[:, 1:]
    low = torch.zeros_like(light)
    high = torch.ones_like(light)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _in_gamut(torch.cat([light, middle * colour], 1))
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    share = torch.where(_in_gamut(lab), 1.0, low)
    return torch.cat([light, share * colour], 1)


def _in_gamut(lab: Tensor) -> Tensor:
    linear = _linear(lab)
    inside: Tensor = (linear - 0.5).abs().amax(1, keepdim=True) <= 0.5 + ROUNDING
    return inside


def _linear(lab: Tensor) -> Tensor:
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    root = torch.stack([y + a / 500, y, y - b / 200], 1)
    share = torch.where(root > DELTA, root**3, 3 * DELTA**2 * (root - 4 / 29))
    return _mixed(torch.linalg.inv(_to_white(lab)), share)


def _to_white(like: Tensor) -> Tensor:
    """Return the matrix from linear red, green and blue to X, Y and Z as shares of those of white."""
    matrix = like.new_tensor(TO_XYZ)
    return matrix / matrix.sum(1, keepdim=True)


def _mixed(matrix: Tensor, images: Tensor) -> Tensor:
    return torch.einsum("dc,bchw->bdhw", matrix, images)
