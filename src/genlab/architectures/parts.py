"""What an architecture consists of, and what its files share."""

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
    """The two directions between an image and a vector, and how all weights start."""

    decoder: Callable[..., ConditionalSequential]
    """(latent, modality, width, *, norm: MakeNorm, attention: int | None), uninitialised."""
    features: Callable[..., Features]
    """(modality, width, *, norm: NormName, dropout: float, attention: int | None), uninitialised."""
    initialise: Callable[[nn.Module], None]
    """Starts all weights of a network in place, heads included."""
    norm: NormName
    """What its features are normalised by where nothing else is asked for."""
    deepens: bool = False
    """Whether both functions take a `depth`; if not, the size of the image decides how many layers there are."""

    def deepened(self, depth: int | None) -> "Architecture":
        """Return it with the depth bound, if one is asked for.

        Raises:
            UsageError: its depth cannot be chosen.
        """
        if depth is None:
            return self
        if not self.deepens:
            raise UsageError(
                "--depth is for --architecture mlp; the others have as many layers as the size needs."
            )
        return replace(
            self, decoder=partial(self.decoder, depth=depth), features=partial(self.features, depth=depth)
        )


def maps_of(modality: Modality, network: str, instead: str) -> tuple[int, int, int]:
    """Return channels, height and width of a modality that has maps.

    Raises:
        UsageError: it has none; the message names the `network` and what to use `instead`.
    """
    if modality.spatial != 2:
        raise UsageError(f"the {network} works on pictures, and these data are {modality.noun}. Set {instead}.")
    channels, height, width = modality.shape
    return channels, height, width


def side_of(modality: Modality, sizes: Collection[int], architecture: str) -> int:
    """Return the side of a square image.

    Raises:
        UsageError: there are no images, or they are not square, or their side is not in `sizes`.
    """
    _, height, width = maps_of(modality, f"{architecture} architecture", "--architecture mlp")
    if height != width or height not in sizes:
        raise UsageError(
            f"the {architecture} architecture is for square images of {', '.join(map(str, sizes))} pixels; "
            f"these are {height}×{width}. Set --size, or use --architecture mlp."
        )
    return height


def check_attention(attention: int | None, sides: Collection[int]) -> None:
    """Check that feature maps of the side `attention` occur among `sides`.

    Raises:
        UsageError: they do not.
    """
    if attention is not None and attention not in sides:
        choices = ", ".join(map(str, sorted(sides)))
        raise UsageError(f"attention {attention}: this network has no such maps. Choices: sides of {choices}.")
