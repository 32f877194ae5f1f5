"""Spectral normalisation: each layer's weight is divided by its largest singular value.

References:
    Miyato et al., 2018. Spectral Normalization for Generative Adversarial Networks, algorithm 1.
    arXiv:1802.05957.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrize import register_parametrization

from genlab.core.device import full_precision

ITERATIONS = 15  # of the power method at initialisation; later, one per forward pass is enough


class SpectralNorm(nn.Module):
    """W / σ with σ = ‖W v‖, where v approximates the right singular vector of the largest singular value.

    In training each forward pass takes one step v ← WᵀW v / ‖WᵀW v‖ of the power method. v is treated as a
    constant, so that the gradient of σ is that of the singular value, u vᵀ. In evaluation v is not updated, only
    normalised, so that averages of W and v over steps give the norm 1 too.
    """

    v: Tensor

    def __init__(self, weight: Tensor, transposed: bool = False) -> None:
        """Initialise for `weight`, whose outputs are dimension 0, or dimension 1 if `transposed`."""
        super().__init__()
        self.transposed = transposed
        matrix = self._matrix(weight.detach())
        self.register_buffer("v", normalize(torch.randn_like(matrix[0]), dim=0))
        for _ in range(0 if matrix.is_meta else ITERATIONS):  # meta tensors have no values, and it takes a second
            self._iterate(matrix)

    def forward(self, weight: Tensor) -> Tensor:
        """Return `weight` with the largest singular value 1."""
        with full_precision(weight.device):  # in bf16, σ would have two digits
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix)
            v = normalize(self.v, dim=0)  # also a copy: two forward passes may precede one backward pass
            sigma: Tensor = torch.linalg.vector_norm(matrix @ v)
            return weight / sigma

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.v.copy_(normalize(matrix.T @ normalize(matrix @ self.v, dim=0), dim=0))

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)


def spectral_norm_(network: nn.Module) -> None:
    """Normalise the weight of every linear layer, convolution and embedding in `network`, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            transposed = isinstance(module, nn.ConvTranspose2d)
            register_parametrization(module, "weight", SpectralNorm(module.weight, transposed))
