"""Sparsity penalties, which keep most entries of an image's code near zero."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from genlab.core.distributed import all_reduce_mean

Sparsity: TypeAlias = Callable[..., Tensor]


def kl_sparsity(activations: Tensor, target: float = 0.05) -> Tensor:
    """Σ_j KL(ρ ‖ ρ̂_j) = Σ_j ρ log(ρ/ρ̂_j) + (1 − ρ) log((1 − ρ)/(1 − ρ̂_j)), in nats.

    ρ̂_j is the mean activation of unit j over the batch of all processes.

    Args:
        activations: between 0 and 1, (B, F).
        target: ρ, between 0 and 1.

    References:
        Ng, 2011. Sparse autoencoder. CS294A lecture notes, Stanford.
    """
    tiny = torch.finfo(activations.dtype).eps  # a mean that is rounded to 0 or 1 must not give infinity
    mean = all_reduce_mean(activations.mean(0)).clamp(tiny, 1 - tiny)
    return (target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()).sum()


def l1_sparsity(activations: Tensor) -> Tensor:
    """E[Σ_j |z_j|] for activations z (B, F): a mean over images of the sum over units.

    References:
        Olshausen and Field, 1996. Emergence of simple-cell receptive field properties by learning a sparse code
        for natural images. Nature 381.
    """
    return activations.abs().flatten(1).sum(1).mean()


SPARSITY: Mapping[str, Sparsity] = {"kl": kl_sparsity, "l1": l1_sparsity}
