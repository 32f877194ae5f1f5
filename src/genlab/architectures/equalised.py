"""Equalised learning rates: layers whose weights are N(0, 1), and are scaled whenever they are used.

The scale is 1/√fan-in, which other initialisations give the weights themselves. So an update of Adam changes all
layers by the same share of their size, however many inputs they have.

References:
    Karras et al., 2018. Progressive Growing of GANs, section 4.1. arXiv:1710.10196.
"""

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class Scaled(nn.Module):
    """A weight times a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer uses."""
        return self.factor * weight


def equalised(layer: Layer, *, bias: float = 0.0) -> Layer:
    """Return `layer`, changed in place: initialised, its bias to `bias`, and with an equalised learning rate."""
    nn.init.normal_(layer.weight)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)
    register_parametrization(layer, "weight", Scaled(layer.weight[0].numel() ** -0.5))
    return layer


def initialise(network: nn.Module) -> None:
    """Equalise the learning rates of all linear layers and convolutions that are not equalised yet, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d) and not is_parametrized(module):
            equalised(module)  # type: ignore[type-var]
