"""Reads pictures as inputs of a trained model."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.core.errors import DataError, UsageError
from genlab.core.modality import Modality
from genlab.data.dataset import Rejected
from genlab.data.decode import decode, reason, strict
from genlab.data.listing import Entry, Listing, list_folder, printable


def read_images(path: Path, modality: Modality) -> tuple[list[str], Tensor, list[Rejected]]:
    """Read one picture or a folder of pictures, resized and cropped to the shape of `modality`.

    Returns:
        The paths of the pictures, relative to the folder; the images (N, C, H, W) in [-1, 1]; and the files that
        could not be read.

    Raises:
        UsageError: there is nothing at `path`, or the modality is not square pictures.
        DataError: no file at `path` could be read.
    """
    if not path.exists():
        raise UsageError(f"there is no picture or folder {path}")
    if modality.spatial != 2:
        raise UsageError(f"this model was trained on {modality.noun}, not on pictures")
    channels, side, width = modality.shape
    if side != width:
        raise UsageError(f"this model was trained on pictures of {side}×{width}; pictures are read as squares")
    if path.is_dir():
        listing = list_folder(path)
    else:
        listing = Listing(str(path.parent), [Entry(path.name, ())], [], lambda at: path.open("rb"))
    names, images, rejected = [], [], list(listing.rejected)
    with strict():
        for at, entry in enumerate(listing.entries):
            try:
                with listing.open(at) as file:
                    images.append(decode(file, side, channels))
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                rejected.append(Rejected(printable(entry.path), reason(error)))
            else:
                names.append(printable(entry.path))
    if not images:
        reasons = "; ".join(f"{r.path}: {r.reason}" for r in rejected[:5]) or "it is empty"
        raise DataError(f"no picture could be read at {path}: {reasons}")
    return names, torch.from_numpy(np.stack(images)).float() / 127.5 - 1, rejected
