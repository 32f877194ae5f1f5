"""How near restored pictures are to the originals, by the protocol of the published tables of super-resolution.

References:
    ITU-R BT.601: the luma Y, from 16 for black to 235 for white.
    Wang et al., 2004. Image Quality Assessment: From Error Visibility to Structural Similarity. IEEE TIP 13(4).
    Dong et al., 2014. Image Super-Resolution Using Deep Convolutional Networks. arXiv:1501.00092: the protocol.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from genlab.core.batch import PIXELS
from genlab.core.pixels import LUMA
from genlab.metrics.extractors.resize import as_bytes
from genlab.metrics.similarity import RANGE, WINDOW, windows
from genlab.metrics.translation import psnr_of_bytes

BLACK, WHITE = 16 / 255, 235 / 255  # the luma of black and white, as a share of the range of bytes
MEASURES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")


def luma(images: Tensor) -> Tensor:
    """Return the luma Y of BT.601 of images (B, 3, H, W) in [-1, 1], (B, 1, H, W).

    It is on the same scale: Y of bytes, which is from 16 to 235, divided by 127.5, minus 1. Grey images are their
    own luma, from 0 to 255.
    """
    if images.shape[1] == 1:
        return images
    share = (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True) / RANGE + 0.5
    return RANGE * (BLACK + (WHITE - BLACK) * share) - 1


def psnr_y(made: Tensor, truth: Tensor, border: int) -> Tensor:
    """Return the PSNR of the luma of each pair of images (B, C, H, W), in dB, (B,), as `likeness` does."""
    return psnr_of_bytes(*(luma(_inside(as_bytes(images), border)) for images in (made, truth)))


def border_of(scale: int) -> int:
    """Return how many pixels of each side are not measured, as in published tables; none at their own size."""
    return scale if scale > 1 else 0


def likeness(made: Tensor, truth: Tensor, border: int) -> dict[str, Tensor]:
    """Return the measures of each pair of images (B, C, H, W) in [-1, 1], (B,), by their names in `MEASURES`.

    Images are rounded to bytes first, and `border` pixels of each side are left out. The PSNR, in dB, is at most
    that of an error of rounding. The SSIM is the mean over all windows that lie inside, of the channels one by
    one; there is none of images that are smaller than a window. Grey images have no measures of RGB, and images
    without anything inside the border have none at all.
    """
    one, two = (_inside(as_bytes(images), border) for images in (made, truth))
    if not one.numel():
        return {}
    found: dict[str, Tensor] = {}
    kinds = {"y": (luma(one), luma(two))} | ({"rgb": (one, two)} if one.shape[1] > 1 else {})
    for name, (ours, theirs) in kinds.items():
        found[f"psnr_{name}"] = psnr_of_bytes(ours, theirs)
        if min(ours.shape[2:]) >= WINDOW:
            found[f"ssim_{name}"] = ssim(ours, theirs)
    return found


def ssim(one: Tensor, two: Tensor) -> Tensor:
    """Return the structural similarity (B,) of images (B, C, H, W), as published for values from 0 to 255.

    It is the mean over the windows that lie inside, and its luminance is counted from black on.
    """
    each, least = max(1, PIXELS // one.shape[3]), WINDOW - 1
    sums, count = [], (one.shape[2] - least) * (one.shape[3] - least) * one.shape[1]
    for top in range(0, one.shape[2] - least, each):
        rows = slice(top, top + each + least)
        luminance, contrast = windows(one[:, :, rows].double() + 1, two[:, :, rows].double() + 1)
        sums.append((luminance * contrast).flatten(1).sum(1))
    return torch.stack(sums).sum(0) / count


def stamp(channels: int, border: int) -> Mapping[str, str]:
    """Return the part of a figure's protocol that describes the measures of images with so many channels."""
    colours = "Y of BT.601, 16 to 235" if channels == 3 else "grey, 0 to 255"
    return {"luma": colours, "border": f"{border} px left out", "rounded": "to bytes", "windows": "inside, 11 px"}


def _inside(images: Tensor, border: int) -> Tensor:
    return images[..., border : images.shape[2] - border, border : images.shape[3] - border]
