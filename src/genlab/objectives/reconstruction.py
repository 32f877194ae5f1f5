"""How far a reconstruction is from its image, per image, summed over pixels.

A decoder gives pre-activations a; the image is tanh(a). Each function takes a, so that it can use the form
that is exact and stable for it. All return (B,).
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Reconstruction: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def mse(activations: Tensor, images: Tensor) -> Tensor:
    """Σ (tanh(a) − x)²: the negative log-likelihood, up to a constant, of a Gaussian of variance ½."""
    return (torch.tanh(activations) - images).square().flatten(1).sum(1)


def l1(activations: Tensor, images: Tensor) -> Tensor:
    """Σ |tanh(a) − x|: the negative log-likelihood, up to a constant, of a Laplacian of scale 1."""
    return (torch.tanh(activations) - images).abs().flatten(1).sum(1)


def bce(activations: Tensor, images: Tensor) -> Tensor:
    """Σ −[y log p + (1 − y) log(1 − p)] in nats, with y = (x + 1)/2 and p = (tanh(a) + 1)/2 = sigmoid(2a).

    Exact for binary images. For grey levels in between it is no density, because it is not normalised
    (Loaiza-Ganem and Cunningham, 2019); it is used because it trains well.

    References:
        Kingma and Welling, 2013. Auto-Encoding Variational Bayes, appendix C.1. arXiv:1312.6114.
        Loaiza-Ganem and Cunningham, 2019. The continuous Bernoulli. arXiv:1907.06845.
    """
    targets = (images + 1) / 2
    return binary_cross_entropy_with_logits(2 * activations, targets, reduction="none").flatten(1).sum(1)


RECONSTRUCTION: Mapping[str, Reconstruction] = {"mse": mse, "l1": l1, "bce": bce}
