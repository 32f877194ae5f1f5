"""Enlarges pictures by a diffusion model of pictures, which was not trained for it.

Each result has the size of the model's pictures and is one of those that it could have drawn. Reduced again by
bicubic interpolation, it is the given picture, up to rounding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genlab.applications.capability import need, unaided
from genlab.applications.restore import as_images, by_channels
from genlab.applications.sample import by_row
from genlab.core.contract import Repaints
from genlab.core.device import device_of
from genlab.core.errors import UsageError
from genlab.core.known import Reduced
from genlab.core.pictures import Picture, to_bytes
from genlab.core.random import RowNoise
from genlab.data.dataset import Rejected
from genlab.data.degradations import DEGRADATIONS
from genlab.data.photos import Photos
from genlab.data.read import unreadable


@dataclass(frozen=True)
class ByDiffusion:
    """Enlarges pictures by a diffusion model.

    Args:
        model: the model.
        shape: channels, height and width of its images.
        scale: how many times as long the sides become.
        number: how many results to draw of each picture.
        seed: of the noise, which also depends on the name of the picture.

    Raises:
        GenlabError: it draws nothing from a part that is known.
        UsageError: its pictures cannot be reduced by the scale.
    """

    model: nn.Module
    shape: tuple[int, int, int]
    scale: int
    number: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        need(self.model, Repaints, "genlab upscale", unaided)
        if self.scale not in scales(self.shape):
            raise UsageError(f"no --scale {self.scale}: {_choices(self.shape)}.")

    @property
    def channels(self) -> int:
        """Channels of the pictures that the model draws."""
        return self.shape[0]

    def seen(self, picture: Picture) -> Picture:
        """Return a picture as it is."""
        return picture

    def replaces(self, picture: Picture) -> bool:
        """Return False: the model sees all of a picture."""
        return False

    def refused(self, height: int, width: int) -> str | None:
        """Return why a picture of this size cannot be enlarged, or None."""
        if (self.scale * height, self.scale * width) == self.shape[1:]:
            return None
        least = f"{self.shape[2] // self.scale}x{self.shape[1] // self.scale}"
        return f"it has {width}x{height} pixels, and only {least} can be enlarged {self.scale} times by this model"

    @torch.no_grad()
    def drawn(self, picture: Picture, name: str) -> list[Picture]:
        """Return results (sH, sW, 1 or 3) of a picture (H, W, 1 or 3)."""

        def restored(x: Tensor) -> Tensor:
            noise = RowNoise(self.seed, f"upscale {name}", range(self.number))
            known = Reduced(x.expand(self.number, -1, -1, -1), self.shape[1:])
            with by_row(self.model):
                return need(self.model, Repaints, "genlab upscale").repaint(known, generator=noise)

        x = as_images(picture).to(device_of(self.model))
        return list(to_bytes(by_channels(x, self.channels, self.scale, restored)))


def scale_of_first(shape: tuple[int, int, int], pictures: Photos) -> int:
    """Return by what the sides of the first picture have to be multiplied for those of a model's images.

    Raises:
        UsageError: there is no such whole number.
        DataError: there is no picture that can be read.
    """
    rejected = []
    for item in pictures.read(()):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        height, width = item.pixels.shape[:2]
        for scale in scales(shape):
            if (scale * height, scale * width) == shape[1:]:
                return scale
        raise UsageError(
            f"{item.name} has {width}x{height} pixels: {_choices(shape)}. Reduce it to one of these, or take a "
            "model of super-resolution, such as fsrcnn, for pictures of any size."
        )
    raise unreadable(pictures.title, rejected)


def scales(shape: tuple[int, int, int]) -> list[int]:
    """Return by what whole numbers the sides of images (C, H, W) can be reduced."""
    row = DEGRADATIONS["bicubic"]
    every = range(int(row.least), int(row.most) + 1)
    return [scale for scale in every if not (shape[1] % scale or shape[2] % scale)]


def _choices(shape: tuple[int, int, int]) -> str:
    sizes = [f"{shape[2] // scale}x{shape[1] // scale} (--scale {scale})" for scale in scales(shape)]
    return f"this model draws pictures of {shape[2]}x{shape[1]}, so it enlarges those of {', '.join(sizes)}"
