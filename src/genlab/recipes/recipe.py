"""What a model is made of: one frozen dataclass of plain values per family, and how it is put together.

torch and the networks are imported where they are built, so that recipes can be listed without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from genlab.recipes.fields import option

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.batch import ImageShape
    from genlab.core.contract import Training
    from genlab.core.random import Randomness
    from genlab.core.schedules import Schedule

# The names of tables in other rooms, which cannot be read without importing torch. A test holds the two together.
ArchitectureName = Literal["mlp", "dcgan", "dcgan-upsample", "resnet"]
ReconstructionName = Literal["mse", "l1", "bce", "gaussian"]
RateName = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True)
class Recipe(ABC):
    """What every family has."""

    family: ClassVar[str]
    of_sampling: ClassVar[tuple[str, ...]] = ()  # options that a trained model may be used with

    architecture: str = option("dcgan", "networks")
    width: int = option(64, "channels of the layer next to the image; of mlp, hidden units", least=1)
    batch: int = option(64, "images per step, over all processes together", least=2)
    accumulate: int = option(
        1, "parts of a batch that go through the networks one after the other; needs less memory", least=1
    )
    steps: int = option(10_000, "steps to train", least=1)
    lr_schedule: RateName = option("constant", "course of the learning rates over the steps, from full to zero")
    clip_norm: float | None = option(
        None, "largest norm of a player's gradient; longer ones are cut to it", above=0
    )
    ema: float = option(
        0.0, "decay of the average of the weights that is published; 0 for none", least=0, most=0.99999
    )

    @abstractmethod
    def model(self, shape: ImageShape, classes: int = 0) -> nn.Module:
        """Return the networks for images of `shape`, freshly initialised from torch's global stream.

        `classes` is how many classes the data have, 0 where they have no labels.
        """

    @abstractmethod
    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return what trains `model`, which must be this recipe's."""

    def refuse(self, classes: int | None = None, processes: int = 1) -> None:  # noqa: B027 (most refuse nothing)
        """Raise UsageError for parts that do not go together, before anything is built or written.

        `classes` is how many classes the data have; None as long as they are not open yet.
        """

    def rate(self) -> Schedule:
        """Return the factor on all learning rates, step by step."""
        from genlab.core.schedules import RATES

        return RATES[self.lr_schedule](self.steps)


@dataclass(frozen=True)
class LatentRecipe(Recipe):
    """A model between images and vectors."""

    architecture: ArchitectureName = option("dcgan", "networks of both directions")
    depth: int | None = option(None, "hidden layers of mlp; by default 2", least=1)
    latent: int = option(100, "dimensions of the latent", least=1)
