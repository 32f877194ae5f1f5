"""The contract between a family and the rest of the house.

A *model* is a plain `nn.Module` that says what it can do by the methods it has: the protocols below. An
application asks for a protocol, never for a family. A *training* owns a model and its optimizers and knows
one step of its algorithm.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.random import Randomness

Signals: TypeAlias = dict[str, Tensor]
"""What a step reports: tensors by name, not yet read back from the device; 0-dimensional, or a profile (n,)."""


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of n images, or of n packs of images."""

    scores: Tensor  # (n,), the higher the more real; what they mean is up to the loss
    features: Tensor  # (n, F), what the scores are made from
    classes: Tensor | None = None  # (n, classes), logits of an auxiliary classifier


class Training(Protocol):
    """How a model learns."""

    @property
    def model(self) -> nn.Module:
        """Everything that is learned, all players together."""
        ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers by the name of the player that they improve."""
        ...

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Take step number `step` of the algorithm, drawing as many batches as it needs."""
        ...


@runtime_checkable
class HasObjective(Protocol):
    """A training of one player, whose loss can be had for any images."""

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and what there is to say about it."""
        ...


@runtime_checkable
class HasPrior(Protocol):
    """Draws the latents that samples are made of: from N(0, 1), but for a flow's temperature."""

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` latents, shaped (count, latent)."""
        ...


@runtime_checkable
class Samples(Protocol):
    """Makes new images from nothing but noise."""

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new images (count, C, H, W) in [-1, 1]."""
        ...


@runtime_checkable
class SamplesInSteps(Protocol):
    """Goes from noise to images in many passes of its network, as many as one wants to pay for."""

    progress_callback: Callable[[int, int], None] | None
    """Called after each step with the number of steps taken and of all steps."""

    def preview_sampling(self) -> AbstractContextManager[Mapping[str, Any]]:
        """Sample in few steps within the block, for previews. Yields the options used, as plain values."""
        ...


@runtime_checkable
class TakesLabels(Protocol):
    """Makes images of a class that one asks for, where `classes` is not 0."""

    @property
    def classes(self) -> int:
        """How many classes there are; 0 for a model that knows none."""
        ...

    def sample(self, count: int, generator: torch.Generator | None = None, labels: Tensor | None = None) -> Tensor:
        """Return `count` new images of the classes `labels` (count,); without, going round the classes."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Maps an image to a latent."""

    def encode(self, images: Tensor) -> Tensor:
        """Return latents (B, latent) of images (B, C, H, W) in [-1, 1]."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Maps a latent to an image."""

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent)."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Gives an image back after a bottleneck."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1], as near to the given ones as the model can."""
        ...


@runtime_checkable
class Inverts(Protocol):
    """Maps images to latents and back without a loss, but for the rounding of its arithmetic."""

    def inversion_error(self, images: Tensor) -> Tensor:
        """Return the largest difference between the numbers of each image and of what comes back, (B,)."""
        ...


@runtime_checkable
class Resamples(Protocol):
    """Draws an image from what it believes about a given one."""

    def resample(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the images (B, C, H, W) of one draw from the posterior of each image."""
        ...


@runtime_checkable
class Corrupts(Protocol):
    """Spoils images in the way that it was trained to mend."""

    def corrupt(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return spoilt images (B, C, H, W)."""
        ...


@runtime_checkable
class Discriminates(Protocol):
    """Says of images whether they look real."""

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Return the discriminator's output of images (B, C, H, W), of classes (B,) where the model takes "
        "labels."""
        ...


@runtime_checkable
class BoundsLikelihood(Protocol):
    """Gives a lower bound on the log-likelihood of an image."""

    def evidence_bound(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the evidence lower bound of each image in nats, (B,), up to a constant of the likelihood."""
        ...


@runtime_checkable
class BoundsBytes(BoundsLikelihood, Protocol):
    """Says whether that is the likelihood of images of bytes: how many bits a lossless code would need."""

    @property
    def of_bytes(self) -> bool:
        """Whether it is; not for points, which have a density."""
        ...


@runtime_checkable
class SplitsBound(Protocol):
    """Gives the two parts of its bound on the likelihood, and a tighter one."""

    def distortion_and_rate(
        self, images: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return E_q[−log p(x | z)] with one draw of z, and KL(q(z | x) ‖ p(z)), of each image in nats, (B,)."""
        ...

    def importance_bound(self, images: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Return the importance-weighted bound with so many draws, of each image in nats, (B,)."""
        ...


CAPABILITIES: Mapping[str, type] = {
    "sample": Samples,
    "encode": Encodes,
    "decode": Decodes,
    "reconstruct": Reconstructs,
    "draw from the posterior": Resamples,
    "corrupt": Corrupts,
    "bound the likelihood": BoundsLikelihood,
}


def capabilities(model: nn.Module) -> list[str]:
    """Return what `model` can do, in words."""
    return [name for name, protocol in CAPABILITIES.items() if isinstance(model, protocol)]


def preview_sampling(model: nn.Module) -> AbstractContextManager[Mapping[str, Any]]:
    """Sample in few steps within the block, where `model` takes steps; yields the options as plain values."""
    return model.preview_sampling() if isinstance(model, SamplesInSteps) else nullcontext({})


def counts_bits(model: nn.Module) -> bool:
    """Whether the bound of `model` is on the likelihood of images of bytes."""
    return isinstance(model, BoundsBytes) and model.of_bytes


def takes_labels(model: nn.Module) -> TypeGuard[TakesLabels]:
    """Whether `model` makes images of a class that one asks for."""
    return isinstance(model, TakesLabels) and model.classes > 0
