"""How conditions enter a network: class labels, and sources such as a point or a picture to start from."""

from abc import abstractmethod
from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from genlab.core.condition import NONE, Condition
from genlab.core.modality import Modality

LABEL = "label"
NO_SOURCES: Mapping[str, Modality] = {}


class Conditional(nn.Module):
    """A layer that is also given the conditions of what it works on."""

    @abstractmethod
    def forward(self, given: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the layer's output."""


class ConditionalSequential(nn.Sequential):
    """Layers in a row; those that take conditions get them."""

    def forward(self, given: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the last layer's output."""
        for layer in self:
            takes = isinstance(layer, Conditional | ConditionalSequential)
            given = layer(given, condition) if takes else layer(given)
        return given


def required(condition: Condition, name: str = LABEL) -> Tensor:
    """Return the condition called `name`.

    Raises:
        ValueError: it is not given.
    """
    if name not in condition:
        raise ValueError(f'this network was built for the condition "{name}" and must be called with it')
    return condition[name]


class _LabelVectors(Conditional):
    """A learned vector for every class, of standard normal draws like the latents that it joins.

    No nn.Embedding: it is an input rather than a layer, and spectral normalisation, which takes those too,
    would shrink it to nothing beside the image.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(classes, size))


class JoinLabelToLatent(_LabelVectors):
    """(B, latent) to (B, latent + size): the label's vector after the latent.

    It has 50 dimensions, as is usual, or as many as there are classes, where more could tell no more.

    References:
        Mirza and Osindero, 2014. Conditional Generative Adversarial Nets. arXiv:1411.1784.
    """

    LARGEST = 50

    def __init__(self, classes: int) -> None:
        self.size = min(self.LARGEST, classes)
        super().__init__(classes, self.size)

    def forward(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return latents and labels side by side."""
        return torch.cat((latents, embedding(required(condition), self.vectors)), dim=1)


class JoinLabelToInput(_LabelVectors):
    """(B, C, …) to (B, C + planes, …): the label's vector as further channels of an example.

    One channel, but at least 16 numbers, so that a point too comes with a vector.
    """

    def __init__(self, modality: Modality, classes: int) -> None:
        self.rest = modality.shape[1:]
        self.planes = max(1, 16 // prod(self.rest))
        super().__init__(classes, self.planes * prod(self.rest))

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return examples and labels side by side."""
        planes = embedding(required(condition), self.vectors)
        return torch.cat((x, planes.view(-1, self.planes, *self.rest)), dim=1)


class JoinSources(Conditional):
    """Sources as further channels of an example, or after a latent as the numbers that they are.

    Args:
        sources: by name, what is given besides a label.
        flat: whether what they join is a vector, as a latent is.
    """

    def __init__(self, sources: Mapping[str, Modality], *, flat: bool) -> None:
        super().__init__()
        self.names, self.flat = tuple(sources), flat
        shapes = [source.shape for source in sources.values()]
        self.channels = sum(prod(shape) if flat else shape[0] for shape in shapes)

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return (B, C + channels, …)."""
        sources = (required(condition, name) for name in self.names)
        return torch.cat([x, *(source.flatten(1) if self.flat else source for source in sources)], dim=1)
