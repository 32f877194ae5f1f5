"""Networks of diffusion models: from a noisy image and its time to the prediction."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from genlab.architectures.conditional import LABEL, NO_SOURCES, JoinSources
from genlab.architectures.mixed import Mixed
from genlab.architectures.own import own_denoiser
from genlab.architectures.unet import LabelOrNone, UNet, Wave
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality
from genlab.core.parts import NO_OPTIONS, Table

TIMES = 64  # dimensions of the time embedding of a perceptron
DEPTH = 3
OCTAVES = 5  # of the Fourier features of points


class Perceptron(Mixed):
    """Hidden layers of `width` units over a flattened image or point, its time and its label.

    For points x the input has Fourier features, too: sin(2ʲπx) and cos(2ʲπx) for j = 0 … 4. At low noise the
    prediction changes within a mode, and a perceptron is slow to learn functions that change so fast.

    References:
        Tancik et al., 2020. Fourier Features Let Networks Learn High Frequency Functions. arXiv:2006.10739.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        classes: int = 0,
        sources: Mapping[str, Modality] = NO_SOURCES,
        depth: int = DEPTH,
    ) -> None:
        super().__init__()
        self.sources = JoinSources(sources, flat=True) if sources else None
        self.time = Wave(TIMES)
        self.label = LabelOrNone(classes, TIMES) if classes else None
        self.fine, self.exact = modality.fine, modality.exact
        size = prod(modality.shape)
        seen = size * (1 + 2 * OCTAVES if self.fine else 1)
        given = self.sources.channels if self.sources else 0
        entering = [seen + given + TIMES, *[width] * (depth - 1)]
        layers = [layer for inputs in entering for layer in (nn.Linear(inputs, width), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(width, size))

    @property
    def multiplies_in(self) -> torch.dtype:
        """float32 for points and rows: their modes are finer than the resolution of bf16."""
        return torch.float32 if self.exact else self.dtype

    def forward(self, noisy: Tensor, times: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the prediction for images (B, C, H, W) at times (B,) in [0, 1]."""
        embedding = self.time(times)
        if self.label is not None:
            embedding = embedding + self.label(condition.get(LABEL))
        seen = self._with_waves(noisy.flatten(1))
        if self.sources is not None:
            seen = self.sources(seen, condition)
        with self.shortened(noisy.device):
            made = self.layers(torch.cat([seen, embedding], dim=1))
        return self.restored(made).view(noisy.shape)

    def _with_waves(self, numbers: Tensor) -> Tensor:
        if not self.fine:
            return numbers
        octaves = torch.pi * 2.0 ** torch.arange(OCTAVES, device=numbers.device)
        angles = (numbers[:, :, None] * octaves).flatten(1)
        return torch.cat([numbers, angles.sin(), angles.cos()], dim=1)


DENOISERS: Table[Callable[..., Mixed]] = Table("architecture", {"unet": UNet, "mlp": Perceptron}, own_denoiser)


def denoiser(
    architecture: str,
    modality: Modality,
    width: int,
    *,
    classes: int = 0,
    sources: Mapping[str, Modality] = NO_SOURCES,
    attention: int | None = None,
    dropout: float = 0.0,
    depth: int | None = None,
    own: Mapping[str, Any] = NO_OPTIONS,
) -> Mixed:
    """Return a network (noisy images (B, C, H, W), times (B,) in [0, 1], condition) -> (B, C, H, W).

    Called without labels, it predicts for images of any class.

    Args:
        architecture: a name in `DENOISERS`.
        modality: of the images.
        width: channels of the maps at the image, or hidden units.
        classes: number of classes; 0 for no labels.
        sources: the other conditions by name.
        attention: side of the maps that get self-attention; 0 for none, None for the architecture's own.
        dropout: fraction of the activations that is dropped in training.
        depth: hidden layers of mlp; by default its own.
        own: options of a user's own architecture.

    Raises:
        UsageError: the architecture lacks one of these parts, or does not support this size.
    """
    lookup(DENOISERS, architecture, "architecture")
    make = DENOISERS.bound(architecture, own)
    if architecture == "mlp":
        if attention or dropout:
            raise UsageError(
                "attention and dropout are for --architecture unet. Set --dropout 0 and no --attention."
            )
        return make(modality, width, classes=classes, sources=sources, depth=depth or DEPTH)
    if depth is not None:
        raise UsageError("--depth is for --architecture mlp; unet has as many levels as the size needs.")
    return make(modality, width, classes=classes, sources=sources, attention=attention, dropout=dropout)
