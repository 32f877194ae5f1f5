"""The simplest features: the pixels themselves, made small."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput

LARGEST = 16


def pixel_features(images: Tensor) -> Tensor:
    """Return images (B, C, H, W), averaged down to at most 16×16, as vectors (B, C·h·w); vectors as they are."""
    if images.ndim < 4:
        return images.float().flatten(1)
    side = min(LARGEST, images.shape[-1])
    return adaptive_avg_pool2d(images.float(), side).flatten(1)


def pixels(device: torch.device, *, exact: bool = False) -> Extractor:
    """Return the extractor of `pixel_features`: layout and tone, no objects; `exact` for points, not bytes."""
    return Extractor("pixels", _look, any_channels=True, rounds=not exact, device=device)


def _look(images: Tensor) -> ExtractorOutput:
    return ExtractorOutput(pixel_features(images))
