"""Pictures that are not to be learned from: read as they are, for a model to look at."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import ImageShape
from genlab.core.errors import DataError, UsageError
from genlab.data.dataset import Rejected
from genlab.data.decode import decode, reason, strict
from genlab.data.listing import Entry, Listing, list_folder, printable


def read_images(path: Path, shape: ImageShape) -> tuple[list[str], Tensor, list[Rejected]]:
    """Read one picture or a folder of them, resized and cropped to `shape`.

    Returns:
        The paths of the pictures, relative to the folder; the images (N, C, H, W) in [-1, 1]; and what could
        not be read.

    Raises:
        UsageError: there is nothing at `path`, or `shape` is that of points.
        DataError: no file at `path` could be read.
    """
    if not path.exists():
        raise UsageError(f"there is no picture or folder {path}")
    if shape.height != shape.width or shape.height == 1:
        raise UsageError("this model was trained on points, not on pictures")
    if path.is_dir():
        listing = list_folder(path)
    else:
        listing = Listing(str(path.parent), [Entry(path.name, ())], [], lambda at: path.open("rb"))
    names, images, rejected = [], [], list(listing.rejected)
    with strict():
        for at, entry in enumerate(listing.entries):
            try:
                with listing.open(at) as file:
                    images.append(decode(file, shape.height, shape.channels))
            except Exception as error:  # as in training: Pillow raises nearly every type on damaged files
                rejected.append(Rejected(printable(entry.path), reason(error)))
            else:
                names.append(printable(entry.path))
    if not images:
        reasons = "; ".join(f"{r.path}: {r.reason}" for r in rejected[:5]) or "it is empty"
        raise DataError(f"no picture could be read at {path}: {reasons}")
    return names, torch.from_numpy(np.stack(images)).float() / 127.5 - 1, rejected
