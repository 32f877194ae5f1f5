"""A user's own network as one that restores images."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from genlab.architectures.mixed import Mixed
from genlab.architectures.own import build_own
from genlab.architectures.parts import Architecture, maps_of
from genlab.core.condition import MASK, NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.parts import Part

ROLE = "restorer"


def own_restorer(part: Part, own: Mapping[str, Any]) -> Callable[..., Mixed]:
    """Return a function that builds an own architecture as a network that restores images.

    Raises:
        UsageError: it is an `Architecture`, which has no network from images to images.
    """
    if isinstance(part.value, Architecture):
        raise UsageError(
            f'the architecture "{part.name}" has a decoder and features, but a restoration needs a network from '
            "images to images. Register a module class."
        )

    def build(source: Modality, target: Modality, width: int, blocks: int | None = None, **rest: Any) -> Mixed:  # noqa: ANN401
        return OwnRestorer(part, own, source, target, width, blocks, **rest)

    return build


class OwnRestorer(Mixed):
    """A user's module as a network (sources (B, C, H, W), condition) -> images (B, C', sH, sW).

    A mask is a further channel of its input. The keyword blocks is passed if its `__init__` takes it.
    """

    def __init__(
        self,
        part: Part,
        own: Mapping[str, Any],
        source: Modality,
        target: Modality,
        width: int,
        blocks: int | None,
        *,
        masked: bool = False,
    ) -> None:
        super().__init__()
        channels, *sides = maps_of(source, f"{part.name} network", "another preset, such as vae")
        self.name, self.channels, self.masked = part.name, target.shape[0], masked
        self.scale = target.shape[1] // sides[0]
        seen = (channels + masked, *sides)
        self.network = build_own(part, own, ROLE, seen, target.shape, width, blocks=blocks).network

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the images of sources.

        Raises:
            UsageError: the module returns another shape.
        """
        seen = torch.cat([x, condition[MASK]], 1) if self.masked else x
        with self.shortened(x.device):
            made: Tensor = self.network(seen.contiguous())
        wanted = (self.channels, *(self.scale * side for side in x.shape[2:]))
        if tuple(made.shape[1:]) != wanted:
            raise UsageError(
                f'the architecture "{self.name}" made images of shape {tuple(made.shape[1:])} of sources of shape '
                f"{tuple(x.shape[1:])}, which become {wanted}. A network that restores has to take any size."
            )
        return self.restored(made)
