"""Recognises data sets of defects: `train/good`, `test/<defect>` and `ground_truth/<defect>/<name>_mask.png`.

References:
    Bergmann et al., 2019. MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection. CVPR.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from genlab.core.text import printable
from genlab.data.decode import decode, strict
from genlab.data.listing import list_folder

GOOD = "good"  # the folder of pictures without a defect
_MASK, _HALF = "_mask", 127


@dataclass(frozen=True)
class Defects:
    """A data set of defects."""

    pictures: Path  # the folder `test`
    normal: Path | None  # the folder `train/good`
    masks: Mapping[str, Path]  # by the names of their pictures without suffix

    @property
    def summary(self) -> str:
        """What was recognised, in words."""
        normal = f", {self.normal} are normal" if self.normal else ""
        return f"a data set of defects: {self.pictures} is scored{normal}, {len(self.masks):,} masks"

    def mask_of(self, name: str) -> Path | None:
        """Return the mask of the picture of this name."""
        return self.masks.get(_stem(name))

    def unused(self, names: Iterable[str]) -> Sequence[Path]:
        """Return the masks that belong to none of these pictures."""
        known = {_stem(name) for name in names}
        return [path for stem, path in self.masks.items() if stem not in known]


def find_defects(path: Path) -> Defects | None:
    """Return the data set of defects at a path or, if that is its folder `test`, around it; None if it is none."""
    root = path.parent if path.name == "test" else path
    pictures, truth, normal = root / "test", root / "ground_truth", root / "train" / GOOD
    if not pictures.is_dir() or not (truth.is_dir() or (pictures / GOOD).is_dir()):
        return None
    masks = [entry.path for entry in list_folder(truth).entries] if truth.is_dir() else []
    by_stem = {_stem(printable(mask)).removesuffix(_MASK): truth / mask for mask in masks}
    return Defects(pictures, normal if normal.is_dir() else None, by_stem)


def defect_of(name: str) -> str | None:
    """Return the defect that a picture shows: the first folder in its name."""
    return PurePosixPath(name).parts[0] if "/" in name else None


def read_mask(path: Path, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which pixels (H, W) of a picture of this size belong to a defect: those brighter than half.

    Raises:
        ValueError: the mask has another size.
        Exception: what Pillow raises for a file that is no picture.
    """
    with strict(), path.open("rb") as file:
        array, own = decode(file, None, 1)
    if own != size:
        raise ValueError(f"it has {own[1]}x{own[0]} pixels, and its picture {size[1]}x{size[0]}")
    return np.asarray(array[0] > _HALF)


def normal_classes(labels: Container[str]) -> Sequence[str]:
    """Return the classes that are normal by their names: good, normal, or 0 if the only other one is 1."""
    return [name for name in (GOOD, "normal") if name in labels]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
