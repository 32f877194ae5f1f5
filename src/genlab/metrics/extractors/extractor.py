"""Feature extractors: a frozen network with all that its features depend on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.extractors.resize import Resize, as_bytes, colour, resize

Precision = Literal["float32", "float16"]


class ExtractorOutput(NamedTuple):
    """The output of a network for B images."""

    features: Tensor  # (B, D), float32
    probabilities: Tensor | None = None  # (B, K), of its classes


@dataclass(frozen=True)
class Extractor:
    """A network with all that its features depend on."""

    name: str
    network: Callable[[Tensor], ExtractorOutput]  # of images (B, 3 or C, side, side) in [-1, 1]
    weights: str = ""  # first 12 hex digits of the sha256 of their file; "" without weights
    side: int | None = None  # to which images are resized; None for no resizing
    resize: Resize = "antialiased"
    precision: Precision = "float32"
    exactly: Callable[[Tensor], ExtractorOutput] | None = None  # `network` in float32, if it computes in another
    probabilities: str = "softmax of the logits"  # how they are computed, if there are any
    any_channels: bool = False  # whether it takes images with any number of channels, as they are
    rounds: bool = True  # whether images are rounded to 8 bits first
    piece: int = 256  # images at a time; few that fit into a CPU's cache can be three times as fast
    device: torch.device = torch.device("cpu")
    layers: Callable[[Tensor], Sequence[Tensor]] | None = None  # maps (B, C, H, W) of several layers, in float32

    @torch.no_grad()
    def __call__(self, images: Tensor) -> ExtractorOutput:
        """Return the output for images (B, C, H, W) in [-1, 1], on the CPU.

        Images are rounded to 8 bits first, so that a model has the same figures as its samples saved as files.

        Raises:
            GenlabError: images without 1 or 3 channels.
        """
        outputs = [self.network(self._inputs(part)) for part in torch.split(images, self.piece)]
        probabilities = [p.probabilities.float().cpu() for p in outputs if p.probabilities is not None]
        features = torch.cat([p.features.float().cpu() for p in outputs])
        return ExtractorOutput(features, torch.cat(probabilities) if probabilities else None)

    @torch.no_grad()
    def maps(self, images: Tensor) -> Sequence[Tensor]:
        """Return the maps of `layers` for images (B, C, H, W) in [-1, 1], prepared as for features.

        Raises:
            GenlabError: the extractor has no layers, or as for features.
        """
        if self.layers is None:
            raise GenlabError(f"{self.name} has no maps to compare. Use efficientnet-lite0.")
        return self.layers(self._inputs(images))

    def _inputs(self, images: Tensor) -> Tensor:
        if not self.any_channels and images.shape[1] not in (1, 3):
            raise GenlabError(f"{self.name} takes grey or colour images, not {images.shape[1]} channels")
        images = images.to(self.device)
        if self.rounds:
            images = as_bytes(images)
        if self.side is not None:
            images = resize(images, self.side, self.resize)
        if not self.any_channels:
            images = colour(images)
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images

    def exact(self) -> "Extractor":
        """Return the extractor in float32 and without rounding to 8 bits, for small differences."""
        return replace(self, network=self.exactly or self.network, precision="float32", rounds=False)

    @property
    def stamp(self) -> dict[str, str]:
        """The part of a figure's protocol that describes the extractor."""
        side = "" if self.side is None else f"{self.side} px {self.resize}"
        return {
            "extractor": self.name,
            "weights": self.weights,
            "resize": side or "none",
            "precision": self.precision if self.rounds else f"{self.precision}, not rounded to bytes",
        }
