"""A user's own network as one that translates images."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from genlab.architectures.mixed import Mixed
from genlab.architectures.own import build_own, parameters_of
from genlab.architectures.parts import Architecture
from genlab.architectures.translator_parts import JoinLabelPlanes, sides_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.parts import Part

ROLE = "translator"


def own_translator(part: Part, own: Mapping[str, Any]) -> Callable[..., Mixed]:
    """Return a function that builds an own architecture as a network that translates images.

    Raises:
        UsageError: it is an `Architecture`, which has no network from images to images.
    """
    if isinstance(part.value, Architecture):
        raise UsageError(
            f'the architecture "{part.name}" has a decoder and features, but a translation needs a network from '
            "images to images. Register a module class."
        )

    def build(source: Modality, target: Modality, width: int, **rest: Any) -> Mixed:  # noqa: ANN401
        return OwnTranslator(part, own, source, target, width, **rest)

    return build


class OwnTranslator(Mixed):
    """A user's module as a network (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W).

    Labels are further channels of its input, a plane for each class. The keywords norm, upsampling and dropout are
    passed if its `__init__` takes them.
    """

    def __init__(
        self,
        part: Part,
        own: Mapping[str, Any],
        source: Modality,
        target: Modality,
        width: int,
        *,
        norm: str,
        upsampling: str,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__()
        channels, *sides = sides_of(source, target, part.name)
        self.labels = JoinLabelPlanes(classes)
        takes = parameters_of(part, own, ROLE)
        told: dict[str, object] = {"dropout": dropout}
        if "norm" in takes:  # the discriminator has one in any case
            told["norm"] = norm
        if "upsampling" in takes or upsampling != "upsample":
            told["upsampling"] = upsampling
        seen = (channels + classes, *sides)
        self.network = build_own(part, own, ROLE, seen, target.shape, width, **told)

    def forward(self, source: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the raw outputs of sources."""
        with self.shortened(source.device):
            made: Tensor = self.network(self.labels(source, condition))
        return self.restored(made)
