"""Learned transforms that begin as the cosine transform of JPEG, with any network beside them.

With the orthonormal cosine transform C of the whole picture, its lowest frequencies first:

    z = W C x + f(x),    x̂ = clip(Cᵀ (V z + b) + g(z))

W and V begin as the identity between latents and coefficients, and b as 0; f and g, which are an architecture's
networks, are multiplied by gains that begin at 0 (Bachlechner et al., 2020). So the model begins as a cosine
transform without its highest frequencies, and training turns it towards the pictures.

References:
    Ahmed, Natarajan and Rao, 1974. Discrete Cosine Transform. IEEE Transactions on Computers.
    Bachlechner et al., 2020. ReZero is All You Need: Fast Convergence at Large Depth. arXiv:2003.04887.
"""

import math
from math import prod

import torch
from torch import Tensor, nn

from genlab.architectures.parts import maps_of
from genlab.core.modality import Modality

EDGE = 0.999  # largest value of a decoded pixel, whose pre-activation is finite


class Cosine(nn.Module):
    """The orthonormal cosine transform of whole pictures, with the lowest frequencies of all channels first.

    Raises:
        UsageError: data that are no pictures.
    """

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        channels, height, width = maps_of(modality, "cosine transform", "--rounding 0")
        self.shape = (channels, height, width)
        rows, columns = torch.arange(height) / height, torch.arange(width) / width
        frequency = (rows[:, None].square() + columns.square()).expand(channels, height, width)
        order = frequency.permute(1, 2, 0).flatten().argsort(stable=True)  # the channels of a frequency together
        self.rows: Tensor
        self.columns: Tensor
        self.order: Tensor
        self.back: Tensor
        self.register_buffer("rows", _matrix(height), persistent=False)
        self.register_buffer("columns", _matrix(width), persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the coefficients (B, C·H·W) of pictures (B, C, H, W)."""
        return (self.rows @ x @ self.columns.T).permute(0, 2, 3, 1).flatten(1)[:, self.order]

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Return the pictures (B, C, H, W) of coefficients (B, C·H·W)."""
        channels, height, width = self.shape
        maps = coefficients[:, self.back].view(-1, height, width, channels).permute(0, 3, 1, 2)
        return self.rows.T @ maps @ self.columns


class CosineEncoder(nn.Module):
    """z = W C x + gain · network(x)."""

    def __init__(self, modality: Modality, latent: int, network: nn.Module) -> None:
        super().__init__()
        self.cosine, self.network = Cosine(modality), network
        self.linear = nn.Linear(prod(modality.shape), latent, bias=False)
        nn.init.eye_(self.linear.weight)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the latents (B, latent) of pictures (B, C, H, W)."""
        latents: Tensor = self.linear(self.cosine(x)) + self.gain * self.network(x)
        return latents


class CosineDecoder(nn.Module):
    """x̂ = clip(Cᵀ (V z + b) + gain · network(z)), as a pre-activation of tanh."""

    def __init__(self, modality: Modality, latent: int, network: nn.Module) -> None:
        super().__init__()
        self.cosine, self.network = Cosine(modality), network
        self.linear = nn.Linear(latent, prod(modality.shape))
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, latents: Tensor) -> Tensor:
        """Return pre-activations (B, C, H, W) of latents (B, latent)."""
        pixels = self.cosine.inverse(self.linear(latents)) + self.gain * self.network(latents)
        return torch.atanh(pixels.clamp(-EDGE, EDGE))


def _matrix(size: int) -> Tensor:
    """Return the orthonormal cosine transform of `size` numbers, (size, size), a frequency in each row."""
    at = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi / size * at[:, None] * (at + 0.5)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()
