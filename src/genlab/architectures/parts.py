"""The parts of an architecture, and checks that the architectures share."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from torch import nn

from genlab.architectures.conditional import ConditionalSequential
from genlab.architectures.normalization import NormName
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

MakeNorm = Callable[[int], nn.Module]


class Features(NamedTuple):
    """A network from images (B, C, H, W) to feature vectors (B, size)."""

    network: nn.Module
    size: int


@dataclass(frozen=True)
class Architecture:
    """Networks from a vector to an image and back, and their initialisation."""

    decoder: Callable[..., ConditionalSequential]
    """(latent, modality, width, *, norm: MakeNorm, attention: int | None), uninitialised."""
    features: Callable[..., Features]
    """(modality, width, *, norm: NormName, dropout: float, attention: int | None), uninitialised."""
    initialise: Callable[[nn.Module], None]
    """Initialises all weights of a network in place, including heads."""
    norm: NormName
    """The default normalisation of its features."""
    deepens: bool = False
    """Whether both functions take a `depth`; if not, the image size determines the number of layers."""
    embeds: bool = False
    """Whether the decoder takes a number of `classes`, whose labels it embeds itself."""
    reconstruction: Callable[[Modality, int], nn.Module] | None = None
    """(modality, width) to an uninitialised network from features to images in [-1, 1], which may be smaller."""

    def deepened(self, depth: int | None) -> "Architecture":
        """Return the architecture with `depth` bound, unless it is None.

        Raises:
            UsageError: the depth of this architecture cannot be chosen.
        """
        if depth is None:
            return self
        if not self.deepens:
            raise UsageError(
                "--depth is for --architecture mlp; in the others the image size determines the number of layers."
            )
        return replace(
            self, decoder=partial(self.decoder, depth=depth), features=partial(self.features, depth=depth)
        )


def maps_of(modality: Modality, network: str, instead: str) -> tuple[int, int, int]:
    """Return channels, height and width of a modality of images.

    Raises:
        UsageError: it is another modality; the message names the `network` and what to use `instead`.
    """
    if modality.spatial != 2:
        raise UsageError(f"the {network} works on pictures, and these data are {modality.noun}. Set {instead}.")
    channels, height, width = modality.shape
    return channels, height, width


def side_of(modality: Modality, sizes: Collection[int], architecture: str) -> int:
    """Return the side of a square image.

    Raises:
        UsageError: the data are no images, they are not square, or their side is not in `sizes`.
    """
    _, height, width = maps_of(modality, f"{architecture} architecture", "--architecture mlp")
    if height != width or height not in sizes:
        raise UsageError(
            f"the {architecture} architecture is for square images of {', '.join(map(str, sizes))} pixels; "
            f"these are {height}×{width}. Set --size, or use --architecture mlp."
        )
    return height


def check_attention(attention: int | None, sides: Collection[int]) -> None:
    """Check that the network has feature maps with the side `attention`.

    Raises:
        UsageError: it has none; the message lists the sides.
    """
    if attention is not None and not sides:
        raise UsageError(f"attention {attention}: this architecture has none. Leave it out.")
    if attention is not None and attention not in sides:
        choices = ", ".join(map(str, sorted(sides)))
        raise UsageError(
            f"attention {attention}: no feature maps of this network have that side. Choices: {choices}."
        )
