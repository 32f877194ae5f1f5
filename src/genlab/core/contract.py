"""The contract between model families and the rest of genlab.

A *model* is a plain `nn.Module`; its methods say what it can do, by the protocols below. An application asks for
a protocol, never for a family. A *training* owns a model and its optimizers and implements one step of the
training algorithm.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import MASK, NONE, Condition
from genlab.core.known import Known
from genlab.core.modality import Modality
from genlab.core.random import Randomness

Signals: TypeAlias = dict[str, Tensor]
"""What a step reports, by name: 0-dimensional tensors or profiles (n,), not yet read back from the device."""


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator for n images, or for n packs of images."""

    scores: Tensor  # (n,), or (n, patches): higher means more real; their scale depends on the loss
    features: Tensor  # (n, F), from which the scores are computed
    classes: Tensor | None = None  # (n, classes), logits of an auxiliary classifier


class Training(Protocol):
    """A model, its optimizers and its training algorithm."""

    @property
    def model(self) -> nn.Module:
        """All networks that are trained, as one module."""
        ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers, by the name of the network that each one updates."""
        ...

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Take step number `step` of the algorithm, which draws the batches that it needs."""
        ...


@runtime_checkable
class HasState(Protocol):
    """A training with state besides its weights and optimizers, such as a pool of earlier images."""

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The tensors by name, always with the same shapes; a checkpoint copies their values out and in."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """Keeps weights of the phase of its run before, while it goes on training them."""

    @property
    def remembered(self) -> Mapping[str, str]:
        """The names of modules that keep weights, each with the name of the module that had them."""
        ...


@runtime_checkable
class HasObjective(Protocol):
    """A training with a single loss, which can be computed for any batch."""

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals."""
        ...


@runtime_checkable
class HasPrior(Protocol):
    """Has a prior over latents: N(0, 1), or N(0, temperature²) in a flow."""

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from the prior, (count, latent)."""
        ...


@runtime_checkable
class Samples(Protocol):
    """Generates new examples, under conditions such as a class or a source if the model takes any."""

    @property
    def conditions(self) -> Mapping[str, Modality]:
        """The conditions that the model takes, by name; empty for an unconditional model."""
        ...

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape).

        Labels that are not given cycle through the classes.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing condition
                without a default.
        """
        ...


@runtime_checkable
class TranslatesBack(Protocol):
    """Translates a source into an example by `sample`, and an example back into a source."""

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the sources (B, *source shape) of examples (B, *shape).

        `condition` has the "source_label" of the sources, if the model translates between labelled domains.
        """
        ...


@runtime_checkable
class Stylizes(Protocol):
    """Gives one picture the style of another, at any size."""

    def stylize(self, content: Tensor, style: Tensor, alpha: float | None = None) -> Tensor:
        """Return contents (B, C, H, W) in the styles (B or 1, C', H', W').

        `alpha` is the strength of the style, from 0 to 1; None for that of the model.
        """
        ...

    def transfer_distances(self, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared distances (B,) of stylized contents to the content and to the style, in features."""
        ...


@runtime_checkable
class SamplesInSteps(Protocol):
    """Samples in many steps, each of one or more passes of its network; fewer steps take less time."""

    progress_callback: Callable[[int, int], None] | None
    """Called after each step with the number of steps taken and the total."""

    def preview_sampling(self) -> AbstractContextManager[Mapping[str, Any]]:
        """Sample in few steps inside the context, for previews; yields the options used, as plain values."""
        ...


@runtime_checkable
class SetsStatistics(Protocol):
    """Recomputes the running statistics of its batch normalisation before it samples."""

    def set_statistics(self) -> None:
        """Set them by some passes with its present weights."""
        ...

    def with_statistics(self) -> AbstractContextManager[None]:
        """Have them set inside the context, and those of training again after it."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Maps examples to latents."""

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the latents (B, latent) of examples (B, *shape)."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """Infers the class of an example, for models that are conditioned on it."""

    def classify(self, x: Tensor) -> Tensor:
        """Return the most likely class of each example (B, *shape), (B,) of int64."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Maps latents to examples."""

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent)."""
        ...


@runtime_checkable
class HasStyles(Protocol):
    """Draws an example from a style for each of its layers, coarse ones first; latents are mapped to styles."""

    style_layers: int
    truncation: float
    """ψ: styles are moved towards their mean w̄, to w̄ + ψ (w − w̄)."""

    def styles(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the styles (B, style_layers, style) of latents (B, latent), after truncation."""
        ...

    def synthesize(self, styles: Tensor) -> Tensor:
        """Return the examples (B, *shape) of styles (B, style_layers, style)."""
        ...

    def style_weights(self) -> Tensor:
        """Return the weights (N, style) by which styles enter all layers."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Reconstructs examples through a bottleneck."""

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the reconstructions of examples (B, *shape)."""
        ...


@runtime_checkable
class Inverts(Protocol):
    """Maps examples to latents and back exactly, up to rounding errors."""

    def inversion_error(self, x: Tensor) -> Tensor:
        """Return max |decode(encode(x)) − x| over the numbers of each example, (B,)."""
        ...


@runtime_checkable
class Resamples(Protocol):
    """Reconstructs examples from draws of the posterior over their latents."""

    def resample(self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return the reconstructions of examples (B, *shape), each from one draw of its posterior."""
        ...


@runtime_checkable
class Corrupts(Protocol):
    """Corrupts examples as in training, where it learns to restore them."""

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return examples (B, *shape), corrupted as in training."""
        ...


@runtime_checkable
class Denoises(Protocol):
    """Removes noise from examples."""

    uses_sigma: bool
    """Whether it needs to know how strong the noise is; else it restores examples whatever was done to them."""

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        """Return estimates of the clean examples c (B, *shape) in x = c + sigma·ε with ε ~ N(0, 1).

        `sigma` (B,) is on the scale of the examples; None if it is unknown and the model does not use it.
        """
        ...


@runtime_checkable
class DrawsDenoised(Protocol):
    """Draws one of the clean examples that noisy ones may come from; it has more details than their mean."""

    def draw_denoised(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Condition = NONE,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return clean examples (B, *shape) for x = c + sigma·ε with ε ~ N(0, 1) and `sigma` (B,)."""
        ...


@runtime_checkable
class Inpaints(Protocol):
    """Fills holes in examples."""

    inpaints_at_random: bool
    """Whether it draws one of the examples that a hole may hide; else it has one fill for each hole."""

    def inpaint(
        self, x: Tensor, hole: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return examples x (B, *shape) whose numbers in the hole, a bool broadcast to x, are replaced.

        What x holds in the hole has no influence; all other numbers come back as they are.
        """
        ...


@runtime_checkable
class Restores(Protocol):
    """Restores degraded images of any size; it may enlarge them by a whole number."""

    @property
    def conditions(self) -> Mapping[str, Modality]:
        """What it restores images from: their "source", and a "mask" if parts of it are missing."""
        ...

    def restore(self, condition: Condition) -> Tensor:
        """Return the restored images (B, C, sH, sW) in [-1, 1] of sources (B, C, H, W)."""
        ...


@runtime_checkable
class Repaints(Protocol):
    """Draws examples of which a part is known, in steps; some are taken again and again, which takes longer."""

    jump_length: int
    resampling: int

    def repaint(
        self, known: Known, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return examples (B, *shape) that have what is `known`, as far as their range allows it."""
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
        """256 if the likelihood is of bytes, which gives bits per dimension; else None."""
        ...

    def evidence_bound(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the evidence lower bound of each example in nats, (B,), up to a constant of the likelihood."""
        ...


@runtime_checkable
class SplitsBound(Protocol):
    """Splits its bound on the likelihood into distortion and rate, and has a tighter bound."""

    def distortion_and_rate(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return E_q[−log p(x | z)] by one draw of z, and KL(q(z | x) ‖ p(z)), of each example in nats, (B,)."""
        ...

    def importance_bound(
        self, x: Tensor, samples: int, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the importance-weighted bound with `samples` draws, of each example in nats, (B,)."""
        ...


@runtime_checkable
class Interpolates(Protocol):
    """Restores with weights between those of two phases of its run."""

    @property
    def remembered(self) -> Mapping[str, str]:
        """As of `Remembers`; empty if there was only one phase."""
        ...

    def interpolated(self, condition: Condition, alpha: float) -> Tensor:
        """Return the restored images with weights from those of the phase before, 0, to those of now, 1."""
        ...


CAPABILITIES: Mapping[str, type] = {
    "sample": Samples,
    "encode": Encodes,
    "decode": Decodes,
    "draw from styles": HasStyles,
    "reconstruct": Reconstructs,
    "draw from the posterior": Resamples,
    "corrupt": Corrupts,
    "denoise": Denoises,
    "draw denoised examples": DrawsDenoised,
    "fill holes": Inpaints,
    "complete partly known examples": Repaints,
    "restore": Restores,
    "bound the likelihood": BoundsLikelihood,
    "split the bound": SplitsBound,
    "tell real examples from generated ones": Discriminates,
    "stylize": Stylizes,
}


@dataclass(frozen=True)
class Evaluator:
    """A row of a table of measures: the measure, and the capabilities that a model needs for it."""

    requires: tuple[type, ...]
    measure: Callable[..., Any]
    without: tuple[type, ...] = ()  # capabilities that rule it out

    def fits(self, model: nn.Module) -> bool:
        """Whether `model` has the required capabilities, and none that rules the measure out."""
        able = all(isinstance(model, capability) for capability in self.requires)
        return able and not any(isinstance(model, capability) for capability in self.without)


def restores_whole(model: nn.Module) -> bool:
    """Whether `model` restores whole images, not holes in images that are known otherwise."""
    return isinstance(model, Restores) and MASK not in model.conditions


def capabilities(model: nn.Module) -> list[str]:
    """Return the names of the capabilities of `model`."""
    return [name for name, protocol in CAPABILITIES.items() if isinstance(model, protocol)]


@contextmanager
def preview_sampling(model: nn.Module) -> Iterator[Mapping[str, Any]]:
    """Sample as previews and evaluations do inside the context; yields the options used, as plain values.

    A model that samples in steps takes few, and one that sets its statistics has them set.
    """
    statistics = model.with_statistics() if isinstance(model, SetsStatistics) else nullcontext()
    options = model.preview_sampling() if isinstance(model, SamplesInSteps) else nullcontext({})
    with statistics, options as how:
        yield how
