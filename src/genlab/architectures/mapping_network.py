"""The mapping network of StyleGAN: from latents to styles."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from genlab.architectures.conditional import Conditional, JoinLabelToLatent
from genlab.architectures.equalised import equalised
from genlab.core.condition import NONE, Condition

SLOPE = 0.2


def activated(x: Tensor) -> Tensor:
    """Return √2 · leaky ReLU(x), which keeps the scale of N(0, 1)."""
    return 2**0.5 * leaky_relu(x, SLOPE)


def pixel_norm(x: Tensor) -> Tensor:
    """Return x (B, C, …) divided by the root mean square of its channels.

    References:
        Karras et al., 2018. Progressive Growing of GANs, section 4.2. arXiv:1710.10196.
    """
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Mapping(Conditional):
    """Latents (B, latent) to styles (B, size): normalised, with the label's vector appended, then linear layers.

    Args:
        latent: dimensions of the latent.
        size: of a style, and of all layers.
        layers: number of layers.
        classes: number of classes; 0 for no labels.

    References:
        Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for GANs. arXiv:1812.04948.
    """

    def __init__(self, latent: int, size: int, layers: int = 8, *, classes: int = 0) -> None:
        super().__init__()
        self.labels = JoinLabelToLatent(classes) if classes else None
        sizes = [latent + (self.labels.size if self.labels else 0), *[size] * layers]
        self.layers = nn.ModuleList(equalised(nn.Linear(*each)) for each in pairwise(sizes))

    def forward(self, given: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the styles of latents."""
        styles = pixel_norm(given)
        if self.labels is not None:
            styles = self.labels(styles, condition)
        for layer in self.layers:
            styles = activated(layer(styles))
        return styles
