"""The perceptual distance of pairs of images: how far apart they are in the maps of a network of features.

References:
    Zhang et al., 2018. The Unreasonable Effectiveness of Deep Features as a Perceptual Metric. arXiv:1801.03924.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genlab.metrics.extractors.extractor import Extractor

EPSILON = 1e-10


def perceptual(extractor: Extractor, one: Tensor, two: Tensor) -> Tensor:
    """Return the perceptual distance of each pair of images (B, C, H, W) in [-1, 1], (B,) on the CPU.

    Σₗ mean over positions of ‖a/‖a‖ − b/‖b‖‖², where a and b are the vectors of channels of both images at one
    position of the maps of layer l: that of Zhang et al. without learned weights. It is 0 for equal images.
    """
    parts = zip(*(torch.split(images, extractor.piece) for images in (one, two)), strict=True)
    distances = [distance_of_maps(extractor.maps(a), extractor.maps(b)) for a, b in parts]
    return torch.cat(distances).cpu()


def perceptual_stamp(extractor: Extractor) -> dict[str, Any]:
    """Return the part of a figure's protocol that describes the distance."""
    return {**extractor.stamp, "precision": "float32", "distance": "unit vectors at strides 2 to 32, unweighted"}


def distance_of_maps(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    """Return the perceptual distance (B,) of pairs of images, given their maps (B, C, H, W) of each layer."""
    layers = [(_unit(a) - _unit(b)).square().sum(1).mean((1, 2)) for a, b in zip(one, two, strict=True)]
    return torch.stack(layers).sum(0)


def _unit(maps: Tensor) -> Tensor:
    return maps / (maps.square().sum(1, keepdim=True).sqrt() + EPSILON)
