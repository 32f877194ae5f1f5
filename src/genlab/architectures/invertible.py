"""Invertible layers, with the log-determinant of their Jacobian.

References:
    Dinh, Sohl-Dickstein and Bengio, 2017. Density Estimation Using Real NVP. arXiv:1605.08803.
    Kingma and Dhariwal, 2018. Glow: Generative Flow with Invertible 1×1 Convolutions. arXiv:1807.03039.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pixel_shuffle, pixel_unshuffle

from genlab.architectures.mixed import MixedSequential
from genlab.core.distributed import all_reduce_mean

LARGEST = 2.0  # of a coupling's log-scale


class Invertible(nn.Module):
    """A layer with an inverse."""

    @abstractmethod
    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps with the same number of elements, and log |det| of the Jacobian of each image, (B,)."""

    @abstractmethod
    def inverse(self, maps: Tensor) -> Tensor:
        """Return the maps that `forward` turns into these."""


class Fold(Invertible):
    """(B, C, 2h, 2w) to (B, 4C, h, w)."""

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Fold; the log-determinant is 0."""
        return pixel_unshuffle(maps, 2), maps.new_zeros(maps.shape[0])

    def inverse(self, maps: Tensor) -> Tensor:
        """Unfold."""
        return pixel_shuffle(maps, 2)


class ActNorm(Invertible):
    """s·(x + b) for each channel, set so that the first batch of training gets mean 0 and deviation 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("ready", torch.zeros((), dtype=torch.long))
        self.ready: Tensor
        self.seen_ready = False  # so that not every step waits for the device

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise."""
        if not self.measured:
            self._measure(maps.detach())
        scale = self.log_scale.exp()[:, None, None]
        volume = self.log_scale.sum() * (maps.shape[2] * maps.shape[3])
        return scale * (maps + self.shift[:, None, None]), volume.expand(maps.shape[0])

    @property
    def measured(self) -> bool:
        """Whether shift and scale have been set from a batch."""
        if self.training and not self.seen_ready:
            self.seen_ready = bool(self.ready)
        return self.seen_ready or not self.training

    def inverse(self, maps: Tensor) -> Tensor:
        """Undo the normalisation."""
        return maps * (-self.log_scale).exp()[:, None, None] - self.shift[:, None, None]

    @torch.no_grad()
    def _measure(self, maps: Tensor) -> None:
        """Set shift and scale from the global batch, or from its first part with `--accumulate`."""
        mean = all_reduce_mean(maps.mean((0, 2, 3)))
        variance = all_reduce_mean((maps - mean[:, None, None]).square().mean((0, 2, 3)))
        self.shift.copy_(-mean)
        self.log_scale.copy_(-0.5 * (variance + 1e-6).log())
        self.ready.fill_(1)


class Convolution(Invertible):
    """An invertible 1×1 convolution: mixes channels by a matrix, initialised as a random rotation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0].contiguous())

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the channels."""
        volume = torch.linalg.slogdet(self.weight)[1] * (maps.shape[2] * maps.shape[3])
        return conv2d(maps, self.weight[:, :, None, None]), volume.expand(maps.shape[0])

    def inverse(self, maps: Tensor) -> Tensor:
        """Mix by the inverse matrix, computed in float64."""
        return conv2d(maps, _inverted(self.weight)[:, :, None, None])


@dataclass(frozen=True)
class Mix:
    """Activation normalisation and the convolution after it in one: W·s·(x + b) = (W·s)x + (W·s)b.

    It saves two passes over the maps, and two over their gradients.
    """

    weight: Tensor  # (C, C)
    shift: Tensor  # (C,), added before
    volume: Tensor  # (), log |det| at each position

    def __call__(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of both layers, and log |det| of the Jacobian of each image, (B,)."""
        volume = self.volume * (maps.shape[2] * maps.shape[3])
        return conv2d(maps, self.weight[:, :, None, None], self.weight @ self.shift), volume.expand(maps.shape[0])

    def inverse(self, maps: Tensor) -> Tensor:
        """Return the maps that both layers turn into these."""
        return conv2d(maps, _inverted(self.weight)[:, :, None, None], -self.shift)


class Coupling(Invertible):
    """y = x·exp(r) + t, with r and t 0 on one half of x and a function of that half on the other.

    r = `LARGEST`·tanh(·/`LARGEST`), so that float32 can undo the scale. Both r and t start at 0.

    Args:
        channels: of the maps.
        width: hidden channels of the network.
        checkered: whether the halves are the two colours of a checkerboard instead of halves of the channels.
        flipped: whether the second half stays unchanged instead of the first.
    """

    def __init__(self, channels: int, width: int, *, checkered: bool = False, flipped: bool = False) -> None:
        super().__init__()
        self.checkered, self.flipped = checkered, flipped
        first = channels // 2
        kept, changed = (channels - first, first) if flipped else (first, channels - first)
        if checkered:
            kept = changed = channels
        self.network = _ExactInInference(
            nn.Conv2d(kept, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * changed, 3, padding=1),
        )
        _initialise(self.network)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        kept, changed = self._split(maps)
        log_scale, shift = self._scale_and_shift(kept)
        return self._join(kept, torch.addcmul(shift, changed, log_scale.exp())), log_scale.sum((1, 2, 3))

    def inverse(self, maps: Tensor) -> Tensor:
        """Undo scale and shift, which the unchanged half determines."""
        kept, changed = self._split(maps)
        log_scale, shift = self._scale_and_shift(kept)
        return self._join(kept, (changed - shift) * (-log_scale).exp())

    def _scale_and_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return r and t for the half that changes."""
        log_scale, shift = self.network(kept).chunk(2, dim=1)
        log_scale = LARGEST * torch.tanh(log_scale / LARGEST)
        if self.checkered:
            changes = 1 - self._mask(kept)
            log_scale, shift = changes * log_scale, changes * shift
        return log_scale, shift

    def _split(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the half that stays and the half that changes; for a checkerboard, both with zeros in between."""
        if self.checkered:
            kept = self._mask(maps) * maps
            return kept, maps - kept
        first, second = maps.tensor_split([maps.shape[1] // 2], dim=1)
        return (second, first) if self.flipped else (first, second)

    def _join(self, kept: Tensor, changed: Tensor) -> Tensor:
        """Return the maps, given their two halves."""
        if self.checkered:
            return kept + changed
        return torch.cat([changed, kept] if self.flipped else [kept, changed], dim=1)

    def _mask(self, maps: Tensor) -> Tensor:
        """Return the checkerboard (H, W): 1 where values stay, else 0."""
        rows, columns = (torch.arange(side, device=maps.device) for side in maps.shape[2:])
        return ((rows[:, None] + columns) % 2 == int(self.flipped)).to(maps.dtype)


def merged(layers: Sequence[Invertible]) -> Sequence[Invertible | Mix]:
    """Return equivalent layers, with one `Mix` for each activation normalisation before a convolution.

    All matrices are computed at once: one at a time, they are too small to use a device well.
    """
    pairs = {a: b for a, b in pairwise(layers) if isinstance(a, ActNorm) and isinstance(b, Convolution)}
    if not pairs or not all(norm.measured for norm in pairs):
        return list(layers)
    scales = torch.stack([norm.log_scale for norm in pairs])
    matrices = torch.stack([mix.weight for mix in pairs.values()])
    weights = matrices * scales.exp()[:, None]
    volumes = scales.sum(1) + torch.linalg.slogdet(matrices)[1]
    mixes: dict[Invertible, Mix] = {
        norm: Mix(weight, norm.shift, volume) for norm, weight, volume in zip(pairs, weights, volumes, strict=True)
    }
    within = set(pairs.values())
    return [mixes.get(layer, layer) for layer in layers if layer not in within]


class _ExactInInference(MixedSequential):
    """Layers that compute in a shorter type only in training, so that the inverse is accurate afterwards."""

    @property
    def multiplies_in(self) -> torch.dtype:
        """float32 except in training."""
        return self.dtype if self.training else torch.float32


def _inverted(matrix: Tensor) -> Tensor:
    """Return the inverse of a matrix, computed in float64."""
    inverse: Tensor = torch.linalg.inv(matrix.cpu().double())
    return inverse.to(matrix.device, matrix.dtype)


def _initialise(network: nn.Sequential) -> None:
    """Initialise weights from N(0, 0.05) and biases to 0; in the last layer both to 0."""
    layers = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        nn.init.normal_(layer.weight, 0.0, 0.05 if layer is not layers[-1] else 0.0)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
