"""How conditions enter a network: class labels, and sources such as a point or a picture to translate."""

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
    """A layer that also takes the conditions of its input."""

    @abstractmethod
    def forward(self, given: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the layer's output."""


class ConditionalSequential(nn.Sequential):
    """`nn.Sequential` that passes the conditions to each layer that takes them."""

    def forward(self, given: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the last layer's output."""
        for layer in self:
            takes = isinstance(layer, Conditional | ConditionalSequential)
            given = layer(given, condition) if takes else layer(given)
        return given


def required(condition: Condition, name: str = LABEL) -> Tensor:
    """Return the condition called `name`.

    Raises:
        ValueError: it is missing.
    """
    if name not in condition:
        raise ValueError(f'this network was built for the condition "{name}", which is missing from the call')
    return condition[name]


class _LabelVectors(Conditional):
    """A learned vector for each class, initialised from a standard normal like the latents.

    No nn.Embedding: the vector is an input rather than a layer. Spectral normalisation, which applies to
    embeddings too, would make it negligible next to the image.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(classes, size))


class JoinLabelToLatent(_LabelVectors):
    """(B, latent) to (B, latent + size): appends the label's vector to the latent.

    The vector has 50 dimensions, as is usual, or one for each class if there are fewer than 50.

    References:
        Mirza and Osindero, 2014. Conditional Generative Adversarial Nets. arXiv:1411.1784.
    """

    LARGEST = 50

    def __init__(self, classes: int) -> None:
        self.size = min(self.LARGEST, classes)
        super().__init__(classes, self.size)

    def forward(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the latents with the vectors of their labels appended."""
        return torch.cat((latents, embedding(required(condition), self.vectors)), dim=1)


class JoinLabelToInput(_LabelVectors):
    """(B, C, …) to (B, C + planes, …): the label's vector as extra channels of an example.

    One channel, but at least 16 numbers, so that a point gets a vector, too.
    """

    def __init__(self, modality: Modality, classes: int) -> None:
        self.rest = modality.shape[1:]
        self.planes = max(1, 16 // prod(self.rest))
        super().__init__(classes, self.planes * prod(self.rest))

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples with the channels of their labels appended."""
        planes = embedding(required(condition), self.vectors)
        return torch.cat((x, planes.view(-1, self.planes, *self.rest)), dim=1)


class JoinSources(Conditional):
    """Appends sources to an example as extra channels, or flattened to a latent.

    Args:
        sources: the conditions other than the label, by name.
        flat: whether they are appended to a vector, such as a latent.
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
