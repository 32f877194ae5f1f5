"""What an extractor is: a frozen network that turns images into features, and the name of how it did."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.extractors.resize import Resize, as_bytes, colour, resize

Precision = Literal["float32", "float16"]


class ExtractorOutput(NamedTuple):
    """What a network sees in B images."""

    features: Tensor  # (B, D), float32
    probabilities: Tensor | None = None  # (B, K) of its classes


@dataclass(frozen=True)
class Extractor:
    """A network with all that decides on its figures."""

    name: str
    look: Callable[[Tensor], ExtractorOutput]  # of images (B, 3 or C, side, side) in [-1, 1]
    weights: str = ""  # first 12 hex digits of the sha256 of their file; none for what has no weights
    side: int | None = None  # that images are resized to; None takes them as they are
    resize: Resize = "antialiased"
    precision: Precision = "float32"
    exactly: Callable[[Tensor], ExtractorOutput] | None = None  # `look` in float32, where it is not
    any_channels: bool = False  # whether it takes images of any number of channels as they are
    rounds: bool = True  # to 8 bits first
    piece: int = 256  # images at a time: what a processor's cache holds is seen up to three times as fast
    device: torch.device = torch.device("cpu")

    @torch.no_grad()
    def __call__(self, images: Tensor) -> ExtractorOutput:
        """Return what it sees in images (B, C, H, W) in [-1, 1], on the CPU.

        Images are rounded to 8 bits first, so that a model has the same figures as the files of its samples.

        Raises:
            GenlabError: images with other than 1 or 3 channels.
        """
        if not self.any_channels and images.shape[1] not in (1, 3):
            raise GenlabError(
                f"an extractor of features sees grey or colour images, not {images.shape[1]} channels"
            )
        seen = [self._see(part.to(self.device)) for part in torch.split(images, self.piece)]
        probabilities = [p.probabilities.float().cpu() for p in seen if p.probabilities is not None]
        features = torch.cat([p.features.float().cpu() for p in seen])
        return ExtractorOutput(features, torch.cat(probabilities) if probabilities else None)

    def _see(self, images: Tensor) -> ExtractorOutput:
        if self.rounds:
            images = as_bytes(images)
        if self.side is not None:
            images = resize(images, self.side, self.resize)
        if not self.any_channels:
            images = colour(images)
        maps = images.ndim == 4
        return self.look(images.contiguous(memory_format=torch.channels_last) if maps else images)

    def exact(self) -> "Extractor":
        """Return it without any rounding, for differences that are smaller than that."""
        return replace(self, look=self.exactly or self.look, precision="float32", rounds=False)

    @property
    def stamp(self) -> dict[str, str]:
        """What belongs to every figure that was computed with it."""
        side = "" if self.side is None else f"{self.side} px {self.resize}"
        return {
            "extractor": self.name,
            "weights": self.weights,
            "resize": side or "none",
            "precision": self.precision if self.rounds else f"{self.precision}, not rounded to bytes",
        }
