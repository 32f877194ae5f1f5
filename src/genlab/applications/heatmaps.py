"""Maps of where a model reconstructs a picture badly: drawn, thresholded, and compared with masks of defects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.applications.scores import Numbers
from genlab.core.device import device_of
from genlab.core.files import replace, storage
from genlab.core.pictures import Picture, png, resized, to_bytes
from genlab.core.text import counted, few
from genlab.data.dataset import Rejected
from genlab.data.decode import reason
from genlab.data.defects import GOOD, Defects, defect_of, read_mask
from genlab.data.originals import Original, Originals, stacked
from genlab.data.progress import bar
from genlab.metrics.ranking import PixelRanking

BLUR = 1 / 64  # of the side: the standard deviation with which maps are smoothed
KINDS = ("map", "overlay", "mask")
OPAQUE = 0.5  # of the map in an overlay
SHOWN = 2.0  # thresholds at the upper end of the colours


@dataclass
class Maps:
    """What was found in the maps of all pictures."""

    threshold: float
    pixels: PixelRanking = field(default_factory=PixelRanking)
    notes: list[str] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, float]:
        """The figures that masks allow; none without any defect or any normal pixel."""
        if not self.pixels.defects or not self.pixels.normal.any():
            return {}
        return {"pixel_auroc": self.pixels.auroc, "pro": self.pixels.pro}


@torch.no_grad()
def error_maps(model: Any, x: Tensor) -> Numbers:  # noqa: ANN401 (reconstructs)
    """Return the squared errors (B, H, W) of reconstructions, averaged over channels and smoothed."""
    from scipy.ndimage import gaussian_filter

    x = x.to(device_of(model))
    errors = (x - model.reconstruct(x)).square().mean(1).cpu().numpy()
    sigma = BLUR * min(errors.shape[1:])
    return np.stack([gaussian_filter(each, sigma) for each in errors]).astype(np.float32)


def pixel_threshold(model: Any, normal: Iterator[Tensor], quantile: float) -> float:  # noqa: ANN401
    """Return the value above which a share 1 − `quantile` of the pixels of normal pictures lies."""
    pixels = PixelRanking()
    for x in normal:
        for each in error_maps(model, x):
            pixels.add(each)
    return pixels.quantile(quantile)


def map_each(
    model: Any,  # noqa: ANN401
    given: Originals,
    threshold: float,
    into: Path | None,
    defects: Defects | None,
    *,
    progress: bool,
) -> Maps:
    """Write the maps of all pictures into folders in `into`, and compare them with the masks of defects.

    Pictures that have been written already are read again only if there are masks.

    Raises:
        StorageError: the disk refused.
    """
    maps, rejected, names = Maps(threshold), list[Rejected](), list[str]()
    with bar(progress) as shown:
        task = shown.add_task("heat maps", total=given.count)
        for chunk in given.chunks(rejected):
            for original, errors in zip(chunk, error_maps(model, stacked(chunk)), strict=True):
                size = original.size or errors.shape
                own = enlarged(errors, *size)
                if into:
                    _write(original, own, threshold, into)
                if defects:
                    _compare(original.name, own, defects, maps)
                names.append(original.name)
            shown.advance(task, len(chunk))
    if defects and (unused := defects.unused(names)):
        maps.notes.append(f"{counted(len(unused), 'mask')} of no picture, left out: {few(map(str, unused))}")
    return maps


def enlarged(errors: Numbers, height: int, width: int) -> Numbers:
    """Return a map in another size, bilinear."""
    from torch.nn.functional import interpolate

    if errors.shape == (height, width):
        return errors
    made = interpolate(torch.from_numpy(errors)[None, None], (height, width), mode="bilinear", align_corners=False)
    return np.asarray(made[0, 0])


def colours(errors: Numbers, threshold: float) -> Picture:
    """Return a map as a picture (H, W, 3); the threshold is in the middle of the colours."""
    import matplotlib as mpl

    scaled = np.clip(errors / (SHOWN * max(threshold, 1e-12)), 0, 1)
    return np.asarray(mpl.colormaps["inferno"](scaled)[..., :3] * 255).round().astype(np.uint8)


def drawn(original: Original, own: Numbers, threshold: float) -> Mapping[str, Picture]:
    """Return the map of a picture, the picture under it, and the mask of what is above the threshold."""
    below = resized(to_bytes(original.pixels[None])[0], *own.shape).astype(np.float32)
    heat = colours(own, threshold)
    overlay = (OPAQUE * heat + (1 - OPAQUE) * below).round().astype(np.uint8)
    mask = np.where(own > threshold, 255, 0).astype(np.uint8)[..., None]
    return dict(zip(KINDS, (heat, overlay, mask), strict=True))


def _write(original: Original, own: Numbers, threshold: float, into: Path) -> None:
    for kind, picture in drawn(original, own, threshold).items():
        path = into / kind / original.file
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, png(picture))


def _compare(name: str, own: Numbers, defects: Defects, maps: Maps) -> None:
    path = defects.mask_of(name)
    if path is None:
        if defect_of(name) == GOOD:
            maps.pixels.add(own)
        else:
            maps.notes.append(f"{name} has no mask: it is left out of the figures of pixels")
        return
    try:
        mask = read_mask(path, own.shape)
    except Exception as error:  # for damaged files Pillow's plugins raise almost any type
        maps.notes.append(f"the mask {path} is left out: {reason(error)}")
    else:
        maps.pixels.add(own, mask)
