"""The contract between a family and the rest of the house.

A *model* is a plain `nn.Module` that says what it can do by the methods it has: the protocols below. An
application asks for a protocol, never for a family. A *training* owns a model and its optimizers and knows
one step of its algorithm.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.modality import Modality
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
    """Generates new examples, of a class or from a source where the model takes conditions."""

    @property
    def conditions(self) -> Mapping[str, Modality]:
        """What may be given, by name; empty for an unconditional model."""
        ...

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape).

        What is not given takes the default of its modality: labels go round the classes.

        Raises:
            UsageError: a condition that the model does not take, or lacks.
        """
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
class Encodes(Protocol):
    """Maps an example to a latent."""

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return latents (B, latent) of examples (B, *shape)."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Maps a latent to an example."""

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return examples (B, *shape) of latents (B, latent)."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Gives an example back after a bottleneck."""

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return examples (B, *shape), as near to the given ones as the model can."""
        ...


@runtime_checkable
class Inverts(Protocol):
    """Maps examples to latents and back exactly, up to the rounding of its arithmetic."""

    def inversion_error(self, x: Tensor) -> Tensor:
        """Return the largest difference between the numbers of each example and of what comes back, (B,)."""
        ...


@runtime_checkable
class Resamples(Protocol):
    """Draws from its posterior over the latents of an example."""

    def resample(self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return the examples (B, *shape) of one draw from the posterior of each."""
        ...


@runtime_checkable
class Corrupts(Protocol):
    """Corrupts examples as in training, where it learned to restore them."""

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return corrupted examples (B, *shape)."""
        ...


@runtime_checkable
class Discriminates(Protocol):
    """Tells real examples from generated ones."""

    def discriminate(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return the discriminator's output for examples (B, *shape)."""
        ...


@runtime_checkable
class BoundsLikelihood(Protocol):
    """Gives a lower bound on the log-likelihood of an example."""

    @property
    def levels(self) -> int | None:
        """256 where it is the likelihood of bytes, so that bits per dimension can be told; else None."""
        ...

    def evidence_bound(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the evidence lower bound of each example in nats, (B,), up to a constant of the likelihood."""
        ...


@runtime_checkable
class SplitsBound(Protocol):
    """Gives the two parts of its bound on the likelihood, and a tighter one."""

    def distortion_and_rate(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return E_q[−log p(x | z)] with one draw of z, and KL(q(z | x) ‖ p(z)), of each in nats, (B,)."""
        ...

    def importance_bound(
        self, x: Tensor, samples: int, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the importance-weighted bound with so many draws, of each example in nats, (B,)."""
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


@dataclass(frozen=True)
class Evaluator:
    """A row of a table of measures: what a model must be able to do for it, and the measure itself."""

    requires: tuple[type, ...]
    measure: Callable[..., Any]
    without: tuple[type, ...] = ()  # capabilities that rule it out

    def fits(self, model: nn.Module) -> bool:
        """Whether `model` has the capabilities."""
        able = all(isinstance(model, capability) for capability in self.requires)
        return able and not any(isinstance(model, capability) for capability in self.without)


def capabilities(model: nn.Module) -> list[str]:
    """Return what `model` can do, in words."""
    return [name for name, protocol in CAPABILITIES.items() if isinstance(model, protocol)]


def preview_sampling(model: nn.Module) -> AbstractContextManager[Mapping[str, Any]]:
    """Sample in few steps within the block, where `model` takes steps; yields the options as plain values."""
    return model.preview_sampling() if isinstance(model, SamplesInSteps) else nullcontext({})
