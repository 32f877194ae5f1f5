"""Restores pictures of any size by a model, in tiles that are the same as if it saw the whole picture.

References:
    Timofte, Rothe and Van Gool, 2016. Seven Ways to Improve Example-Based Single Image Super Resolution.
    arXiv:1511.02228: the mean over the eight symmetries of a square.
    Lim et al., 2017. Enhanced Deep Residual Networks for Single Image Super-Resolution. arXiv:1707.02921: called
    self-ensemble.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.condition import MASK, SOURCE
from genlab.core.contract import Restores, restores_whole
from genlab.core.device import device_of
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec
from genlab.core.pictures import Picture, to_bytes
from genlab.core.pixels import LUMA
from genlab.data.dataset import as_floats
from genlab.metrics.translation import untranslated

TILE, LEAST_TILE = 256, 16  # pixels of a side, without its margin
CUBIC = 2  # pixels around a place that its bicubic interpolation depends on
MOST_MARGIN = 64  # of very deep networks; what lies further away changes next to nothing


def scale_of(spec: DataSpec) -> int:
    """Return how many times as long the sides of restored pictures are as those of their sources."""
    return int(spec.target.shape[1] // spec.conditions[SOURCE].shape[1])


def enlarges(model: nn.Module) -> bool:
    """Whether `model` makes larger pictures of small ones."""
    if not restores_whole(model):
        return False
    given, made = need(model, Restores, "enlarging").conditions[SOURCE], getattr(model, "modality", None)
    return made is not None and given.shape[1] < made.shape[1]


class Restorer(Protocol):
    """What restores pictures one by one."""

    @property
    def model(self) -> nn.Module:
        """The model."""
        ...

    @property
    def scale(self) -> int:
        """How many times as long the sides become."""
        ...

    @property
    def channels(self) -> int:
        """Channels of the pictures that the model takes."""
        ...

    @property
    def number(self) -> int:
        """How many results each picture has."""
        ...

    def seen(self, picture: Picture) -> Picture:
        """Return a picture as it is given to the model."""
        ...

    def replaces(self, picture: Picture) -> bool:
        """Return whether a picture has colours, of which the model sees nothing."""
        ...

    def refused(self, height: int, width: int) -> str | None:
        """Return why a picture of this size cannot be restored, or None."""
        ...

    def drawn(self, picture: Picture, name: str) -> list[Picture]:
        """Return the results of a picture (H, W, 1 or 3) of a name."""
        ...


@dataclass(frozen=True)
class ByModel:
    """Restores pictures by a model.

    A model of another number of channels restores the brightness of colour pictures, whose colours are enlarged by
    bicubic interpolation; or it sees grey pictures as colour ones, of which the brightness is taken.

    Args:
        model: the model.
        spec: of its data.
        tile: height and width of the parts of a picture that it restores at a time.
        ensemble: whether to take the mean over the eight symmetries of each tile.
        colours: the least share of their colours that the sources of its training had lost, which it gives back;
            None if they had lost none.

    Raises:
        GenlabError: it does not restore pictures.
        UsageError: it needs masks, or the tiles are too small.
    """

    model: nn.Module
    spec: DataSpec
    tile: int = TILE
    ensemble: bool = False
    colours: float | None = None

    def __post_init__(self) -> None:
        if MASK in need(self.model, Restores, "restoring pictures").conditions:
            raise UsageError(
                "this model fills holes, and needs a mask that says where they are. Use genlab inpaint."
            )
        if self.tile < LEAST_TILE:
            raise UsageError(f"--tile must be at least {LEAST_TILE} pixels, not {self.tile}. Try {TILE}.")

    @property
    def scale(self) -> int:
        """How many times as long the sides become."""
        return scale_of(self.spec)

    @property
    def channels(self) -> int:
        """Channels of the pictures that the model takes."""
        return int(self.spec.target.shape[0])

    @cached_property
    def margin(self) -> int:
        """How many pixels around a tile the model sees, too."""
        return min(MOST_MARGIN, reach(getattr(self.model, "network", self.model)))

    def seen(self, picture: Picture) -> Picture:
        """Return a picture as it is given to the model: a grey one in three channels, if it gives it colours."""
        return picture.repeat(3, 2) if self.colours is not None and picture.shape[2] < self.channels else picture

    def replaces(self, picture: Picture) -> bool:
        """Return whether a picture has colours, of which the model sees nothing."""
        return self.colours == 1 and bool((picture != picture[..., :1]).any())

    @property
    def number(self) -> int:
        """1, as nothing is random."""
        return 1

    def refused(self, height: int, width: int) -> str | None:
        """Return None: pictures of all sizes are restored."""
        return None

    def drawn(self, picture: Picture, name: str) -> list[Picture]:
        """Return the restored picture, which its name has no influence on."""
        return [self(picture)]

    def __call__(self, picture: Picture) -> Picture:
        """Return a picture (H, W, 1 or 3) restored, (sH, sW, 1 or 3); only some tiles are in memory besides."""
        height, width, channels = picture.shape
        s, out = self.scale, np.empty((height * self.scale, width * self.scale, channels), np.uint8)
        for (top, bottom, above), (left, right, before) in self._tiles(height, width):
            around = picture[above : bottom + self.margin, before : right + self.margin]
            made = to_bytes(self.restored(as_images(around)))[0, (top - above) * s :, (left - before) * s :]
            out[top * s : bottom * s, left * s : right * s] = made[: (bottom - top) * s, : (right - left) * s]
        return out

    def _tiles(self, height: int, width: int) -> Iterator[tuple[tuple[int, int, int], tuple[int, int, int]]]:
        """Yield the rows and the columns of each tile: where it begins, where it ends, where its margin begins."""

        def parts(length: int) -> list[tuple[int, int, int]]:
            begins = range(0, length, self.tile - self.tile % LEAST_TILE)  # for networks with strides
            return [(at, min(at + self.tile, length), max(0, at - self.margin)) for at in begins]

        yield from product(parts(height), parts(width))

    @torch.no_grad()
    def restored(self, x: Tensor) -> Tensor:
        """Return pictures (B, 1 or 3, H, W) in [-1, 1] restored, on the CPU."""
        return by_channels(x.to(device_of(self.model)), self.channels, self.scale, self._made).float().cpu()

    def _made(self, x: Tensor) -> Tensor:
        model = need(self.model, Restores, "restoring pictures")
        if not self.ensemble:
            return model.restore({SOURCE: x})
        turned = [(k, flip, torch.rot90(x.flip(3) if flip else x, k, (2, 3))) for k in range(4) for flip in (0, 1)]
        made = [torch.rot90(model.restore({SOURCE: each}), -k, (2, 3)) for k, _, each in turned]
        back = [each.flip(3) if flip else each for each, (_, flip, _) in zip(made, turned, strict=True)]
        return torch.stack(back).mean(0)


def by_channels(x: Tensor, channels: int, scale: int, restored: Callable[[Tensor], Tensor]) -> Tensor:
    """Return pictures (B, 1 or 3, H, W), restored by a model of another number of channels if need be.

    A model of grey pictures restores the brightness of colour pictures, whose colours are enlarged by bicubic
    interpolation; one of colour pictures gets grey ones as such, and the brightness of its results is taken.
    """
    if x.shape[1] == channels:
        return restored(x)
    if channels == 3:
        return brightness(restored(x.expand(-1, 3, -1, -1)))
    colours = untranslated(x, (3, *(scale * side for side in x.shape[2:])))
    return colours + restored(brightness(x)) - brightness(colours)


def as_images(picture: Picture) -> Tensor:
    """Return a picture (H, W, C) as images (1, C, H, W) in [-1, 1]."""
    return torch.from_numpy(as_floats(np.ascontiguousarray(np.moveaxis(picture, 2, 0))))[None]


def brightness(x: Tensor) -> Tensor:
    """Return the luma of colour pictures (B, 3, H, W), (B, 1, H, W)."""
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def reach(network: nn.Module) -> int:
    """Return how many pixels away from a place a network can see: at most the sum over all convolutions.

    It is an upper bound for networks in which every convolution follows another, and that add what they find to
    bicubic interpolation. Networks with strides see further, and depend on where their blocks of pixels begin:
    `MOST_MARGIN`, a multiple of them, is taken for these.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    if any(layer.stride[0] > 1 for layer in layers):
        return MOST_MARGIN
    return CUBIC + sum(layer.dilation[0] * (layer.kernel_size[0] - 1) // 2 for layer in layers)
