"""How class labels enter a network."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from genlab.core.batch import ImageShape


class Labelled(nn.Module):
    """A layer that is also given the labels (B,) of what it works on."""

    @abstractmethod
    def forward(self, given: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the layer's output."""


class LabelledSequential(nn.Sequential):
    """Layers in a row; those that take labels get them."""

    def forward(self, given: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last layer's output."""
        for layer in self:
            takes = isinstance(layer, Labelled | LabelledSequential)
            given = layer(given, labels) if takes else layer(given)
        return given


def needed(labels: Tensor | None) -> Tensor:
    """Return `labels`.

    Raises:
        ValueError: there are none.
    """
    if labels is None:
        raise ValueError("this network was built for labels and must be called with them")
    return labels


class _Table(Labelled):
    """A learned vector for every class, of standard normal draws like the latents that it joins.

    No nn.Embedding: it is an input rather than a layer, and spectral normalisation, which takes those too,
    would shrink it to nothing beside the image.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(classes, size))


class JoinToLatent(_Table):
    """(B, latent) to (B, latent + size): the label's vector after the latent.

    It has 50 dimensions, as is usual, or as many as there are classes, where more could tell no more.

    References:
        Mirza and Osindero, 2014. Conditional Generative Adversarial Nets. arXiv:1411.1784.
    """

    LARGEST = 50

    def __init__(self, classes: int) -> None:
        self.size = min(self.LARGEST, classes)
        super().__init__(classes, self.size)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return latents and labels side by side."""
        return torch.cat((latents, embedding(needed(labels), self.vectors)), dim=1)


class JoinToImage(_Table):
    """(B, C, H, W) to (B, C + planes, H, W): the label's vector as planes beside the image.

    One plane, but at least 16 numbers, so that a point (2, 1, 1) too sees a vector.
    """

    def __init__(self, shape: ImageShape, classes: int) -> None:
        self.shape = shape
        self.planes = max(1, 16 // (shape.height * shape.width))
        super().__init__(classes, self.planes * shape.height * shape.width)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images and labels side by side."""
        planes = embedding(needed(labels), self.vectors)
        return torch.cat((images, planes.view(-1, self.planes, *self.shape[1:])), dim=1)
