"""Invertible networks between images and latents of the same dimension, with log-determinants of the Jacobian.

An image goes through levels. Each level folds 2×2 positions into channels, applies some steps, and splits off half
of its channels as latents; the rest goes to the next level. At the last level all channels become latents.

References:
    Dinh, Sohl-Dickstein and Bengio, 2017. Density Estimation Using Real NVP. arXiv:1605.08803.
    Kingma and Dhariwal, 2018. Glow: Generative Flow with Invertible 1×1 Convolutions. arXiv:1807.03039.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from genlab.architectures.invertible import ActNorm, Convolution, Coupling, Fold, Invertible, merged
from genlab.architectures.parts import maps_of
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

LEVELS = 3
LONGEST = 1024  # longest vector that splines take


class Levels(nn.Module):
    """A multi-scale flow.

    Args:
        modality: of the images.
        steps: makes the layers of a level after the fold, from the number of channels.
        levels: their number; by default as often as the image can be halved, at most 3.
        before: makes the layers of a level before the fold, from the number of channels.

    Raises:
        UsageError: the sides cannot be halved so often.
    """

    def __init__(
        self,
        modality: Modality,
        steps: Callable[[int], Sequence[Invertible]],
        *,
        levels: int | None = None,
        before: Callable[[int], Sequence[Invertible]] = lambda channels: (),
    ) -> None:
        super().__init__()
        self.shape = modality.shape
        self.levels = nn.ModuleList()
        count = _levels(modality, levels)
        channels = modality.shape[0]
        for level in range(count):
            layers = [*before(channels), Fold(), *steps(4 * channels)]
            self.levels.append(nn.ModuleList(layers))
            channels = 4 * channels if level + 1 == count else 2 * channels

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents (B, C·H·W) of images (B, C, H, W), and log |det| of the Jacobian, (B,)."""
        maps, volume, out = images, images.new_zeros(images.shape[0]), []
        for level, layers in enumerate(self.levels):
            for layer in merged(layers):  # type: ignore[arg-type]
                maps, grown = layer(maps)
                volume = volume + grown
            if level + 1 < len(self.levels):
                done, maps = maps.chunk(2, dim=1)
                out.append(done.flatten(1))
        return torch.cat([*out, maps.flatten(1)], dim=1), volume

    def inverse(self, latents: Tensor) -> Tensor:
        """Return the images (B, C, H, W) of latents (B, C·H·W)."""
        channels, height, width = self.shape
        shapes: list[tuple[int, int, int]] = []
        for level in range(len(self.levels)):
            height, width, last = height // 2, width // 2, level + 1 == len(self.levels)
            channels = 4 * channels if last else 2 * channels
            shapes.append((channels, height, width))
        parts = torch.split(latents, [math.prod(shape) for shape in shapes], dim=1)
        maps: Tensor = parts[-1].view(-1, *shapes[-1])
        for level, layers in reversed(list(enumerate(self.levels))):
            if level + 1 < len(self.levels):
                maps = torch.cat([parts[level].view(-1, *shapes[level]), maps], dim=1)
            for layer in reversed(merged(layers)):  # type: ignore[arg-type]
                maps = layer.inverse(maps)
        return maps


def glow(modality: Modality, width: int, steps: int, levels: int | None = None) -> Levels:
    """Return a flow of activation normalisation, 1×1 convolution and coupling of half the channels."""

    def made(channels: int) -> list[Invertible]:
        return [
            layer
            for _ in range(steps)
            for layer in (ActNorm(channels), Convolution(channels), Coupling(channels, width))
        ]

    return Levels(modality, made, levels=levels)


def realnvp(modality: Modality, width: int, steps: int, levels: int | None = None) -> Levels:
    """Return a flow of couplings: checkerboards before each fold, halves of the channels after it."""

    def made(channels: int, *, checkered: bool) -> list[Invertible]:
        return [
            layer
            for step in range(steps)
            for layer in (
                ActNorm(channels),
                Coupling(channels, width, checkered=checkered, flipped=step % 2 == 1),
            )
        ]

    return Levels(modality, partial(made, checkered=False), levels=levels, before=partial(made, checkered=True))


class Splines(nn.Module):
    """Couplings by monotonic rational-quadratic splines, for points and short vectors.

    Points are scaled by 3 first: outside of [−5, 5] the splines are the identity.

    References:
        Durkan, Bekasov, Murray and Papamakarios, 2019. Neural Spline Flows. arXiv:1906.04032.
    """

    def __init__(self, modality: Modality, width: int, steps: int) -> None:
        super().__init__()
        from zuko.flows import NSF

        self.shape = modality.shape
        self.spread = 3.0 if modality.fine else 1.0
        with torch.device("cpu"):  # its masks need real memory, not the meta device
            self.flow = NSF(
                math.prod(self.shape), bins=16, transforms=steps, hidden_features=(width, width), passes=2
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents (B, C·H·W) of images (B, C, H, W), and log |det| of the Jacobian, (B,)."""
        latents, volume = self.flow().transform.call_and_ladj(self.spread * images.flatten(1))
        return latents, volume + math.prod(self.shape) * math.log(self.spread)

    def inverse(self, latents: Tensor) -> Tensor:
        """Return the images (B, C, H, W) of latents (B, C·H·W)."""
        points: Tensor = self.flow().transform.inv(latents) / self.spread
        return points.view(-1, *self.shape)


def splines(modality: Modality, width: int, steps: int, levels: int | None = None) -> Splines:
    """Return a flow of splines.

    Raises:
        UsageError: `levels` is set, which needs maps; or images have more than `LONGEST` numbers.
    """
    if math.prod(modality.shape) > LONGEST:
        raise UsageError(
            f"--architecture spline is for points and vectors of up to {LONGEST:,} numbers; these pictures have "
            f"{math.prod(modality.shape):,}. Use glow or realnvp."
        )
    if levels is not None:
        raise UsageError("--levels is for --architecture glow or realnvp: spline takes a picture as one vector.")
    return Splines(modality, width, steps)


FLOWS: Mapping[str, Callable[[Modality, int, int, int | None], nn.Module]] = {
    "glow": glow,
    "realnvp": realnvp,
    "spline": splines,
}


def _levels(modality: Modality, levels: int | None) -> int:
    """Return the number of levels of a flow on images of this size."""
    _, height, width = maps_of(modality, "flow, which halves its maps,", "--architecture spline")
    possible = 0
    while height % 2 ** (possible + 1) == width % 2 ** (possible + 1) == 0:
        possible += 1
    if not 1 <= (levels or min(LEVELS, possible)) <= possible:
        can = {0: "cannot be halved", 1: "can be halved once"}.get(possible, f"can be halved {possible} times")
        helps = f"--levels to at most {possible}, or " if possible else ""
        raise UsageError(
            f"a flow halves its maps in each level, and pictures of {height}×{width} {can}. "
            f"Set {helps}--size to a multiple of {2 ** (levels or LEVELS)}."
        )
    return levels or min(LEVELS, possible)
