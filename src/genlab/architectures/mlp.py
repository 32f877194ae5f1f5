"""Multi-layer perceptrons, by default with two hidden layers, for images of any shape and for points.

References:
    Goodfellow et al., 2014. Generative Adversarial Networks, section 5. arXiv:1406.2661.
    Kingma and Welling, 2013. Auto-Encoding Variational Bayes, appendix C. arXiv:1312.6114.
"""

from math import prod

from torch import Tensor, nn

from genlab.architectures.conditional import ConditionalSequential
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import NormName, make_norm
from genlab.architectures.parts import Features, MakeNorm
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

SPREAD = 5.0
DEPTH = 2


def decoder(
    latent: int,
    modality: Modality,
    width: int,
    *,
    norm: MakeNorm | None = None,
    attention: int | None = None,
    depth: int = DEPTH,
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    It has `depth` hidden layers and no normalisation: `norm` is ignored.

    Raises:
        UsageError: attention, which needs maps.
    """
    _refuse(attention)
    return _sequential_for(modality)(
        *_hidden(latent, width, depth, "none", 0.0),
        nn.Linear(width, prod(modality.shape)),
        nn.Unflatten(1, modality.shape),
    )


def features(
    modality: Modality,
    width: int,
    *,
    norm: NormName = "none",
    dropout: float = 0.0,
    attention: int | None = None,
    depth: int = DEPTH,
) -> Features:
    """Return a network from images (B, C, H, W) to the last of `depth` hidden layers, (B, width).

    Points are scaled by 5 first, to the published coordinates of `grid25`: otherwise the first layer's initial
    features would be too coarse for its modes.

    Raises:
        UsageError: attention or instance normalisation, which need maps.
    """
    _refuse(attention)
    if norm == "instance":
        raise UsageError('the mlp architecture has no maps for norm "instance". Choices: batch, layer, none.')
    seen = [nn.Flatten(), *([_Spread()] if modality.fine else [])]
    return Features(
        _sequential_for(modality)(*seen, *_hidden(prod(modality.shape), width, depth, norm, dropout)), width
    )


def initialise(network: nn.Module) -> None:
    """Keep torch's initialisation, U(−1/√inputs, 1/√inputs)."""


def _hidden(inputs: int, width: int, depth: int, norm: NormName, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for entering in [inputs, *[width] * (depth - 1)]:
        layers.append(nn.Linear(entering, width, bias=norm == "none"))
        if norm != "none":
            layers.append(make_norm(norm, width))
        layers.append(nn.LeakyReLU(0.2))
        if dropout:
            layers.append(Dropout(dropout))
    return layers


def _sequential_for(modality: Modality) -> type[ConditionalSequential]:
    """Return the class of the network: points and rows need float32, images may use mixed precision."""
    return ConditionalSequential if modality.exact else MixedSequential


class _Spread(nn.Module):
    """Multiplies points (B, 2) by 5."""

    def forward(self, points: Tensor) -> Tensor:
        return SPREAD * points


def _refuse(attention: int | None) -> None:
    if attention is not None:
        raise UsageError(
            "attention works on feature maps, and the mlp architecture has none. Remove it, or use "
            "--architecture dcgan or resnet."
        )
