"""Losses of restored images in the maps of a frozen network of features, and their total variation.

References:
    Johnson, Alahi and Fei-Fei, 2016. Perceptual Losses for Real-Time Style Transfer and Super-Resolution.
    arXiv:1603.08155.
    Liu et al., 2018. Image Inpainting for Irregular Holes Using Partial Convolutions, section 3.3.
    arXiv:1804.07723.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def content_distances(made: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """Return Σ E|φ(x̂) − φ(x)| (B,) over the layers, given their maps φ (B, C, H, W) of both images."""
    layers = [(one - two).abs().flatten(1).mean(1) for one, two in zip(made, true, strict=True)]
    return torch.stack(layers).sum(0)


def gram_distances(made: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """Return Σ E|G(x̂) − G(x)| (B,) over the layers, where G = φφᵀ / (C·H·W) are the products of channels."""
    layers = [(gram(one) - gram(two)).abs().flatten(1).mean(1) for one, two in zip(made, true, strict=True)]
    return torch.stack(layers).sum(0)


def gram(maps: Tensor) -> Tensor:
    """Return the mean products of channels (B, C, C) of maps (B, C, H, W), divided by C."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def total_variation(images: Tensor) -> Tensor:
    """Return E|x(i + 1, j) − x(i, j)| + E|x(i, j + 1) − x(i, j)|, a number, of images (B, C, H, W)."""
    return images.diff(dim=2).abs().mean() + images.diff(dim=3).abs().mean()


@dataclass(frozen=True)
class FeatureTerms:
    """Weighted losses of restored images beside those of pixels: of features, of style, and total variation.

    Args:
        features: images (B, C, H, W) -> maps of each layer; None if both its losses have weight 0.
        perceptual: weight of `content_distances`.
        style: weight of `gram_distances`.
        smoothness: weight of `total_variation`.
    """

    features: Callable[[Tensor], Sequence[Tensor]] | None
    perceptual: float = 0.0
    style: float = 0.0
    smoothness: float = 0.0

    def __call__(self, restored: Tensor, original: Tensor) -> dict[str, Tensor]:
        """Return the losses of images (B, C, H, W) by the names of their signals, without those of weight 0."""
        losses = {}
        if self.features is not None:
            made = self.features(restored)
            with torch.no_grad():
                true = self.features(original)
            if self.perceptual:
                losses["perceptual_loss"] = self.perceptual * content_distances(made, true).mean()
            if self.style:
                losses["gram_loss"] = self.style * gram_distances(made, true).mean()
        if self.smoothness:
            losses["smoothness_loss"] = self.smoothness * total_variation(restored)
        return losses
