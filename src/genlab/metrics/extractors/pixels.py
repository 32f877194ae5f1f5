"""The simplest features: the pixels of a downsampled image."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput

LARGEST = 16


def pixel_features(images: Tensor) -> Tensor:
    """Return images (B, C, H, W), averaged down to at most 16×16, as vectors (B, C·h·w); vectors are unchanged."""
    if images.ndim < 4:
        return images.float().flatten(1)
    side = min(LARGEST, *images.shape[-2:])
    return adaptive_avg_pool2d(images.float(), side).flatten(1)


def pixels(device: torch.device, *, exact: bool = False) -> Extractor:
    """Return the extractor of `pixel_features`: layout and tone, not objects; `exact` does not round to bytes."""
    return Extractor("pixels", _forward, any_channels=True, rounds=not exact, device=device)


def _forward(images: Tensor) -> ExtractorOutput:
    return ExtractorOutput(pixel_features(images))
