"""Reads pictures as inputs of a trained model: files, arrays, data of one's own."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.core.errors import DataError, UsageError
from genlab.core.modality import Modality
from genlab.core.parts import registered
from genlab.core.text import printable
from genlab.data.arrays import as_array
from genlab.data.dataset import Array, Rejected, Source, Split, as_floats
from genlab.data.decode import decode, reason, strict
from genlab.data.items import is_array
from genlab.data.listing import Entry, Listing, list_folder
from genlab.data.objects import as_source
from genlab.data.ranges import SLACK
from genlab.data.source import similar


@dataclass(frozen=True)
class Read:
    """Images as inputs of a model."""

    title: str  # in the names of files
    names: Sequence[str]  # of the images: paths relative to the folder, or positions
    images: Tensor  # (N, C, H, W) in [-1, 1]
    rejected: Sequence[Rejected] = ()  # files that could not be read
    cropped: int = 0  # images that were not square, of which the middle is used


def read_images(given: object, modality: Modality) -> Read:
    """Read images for a model of `modality`.

    Args:
        given: one picture or a folder of pictures, which are resized and cropped; the name of data of one's own,
            whose held-out part is taken; or an array or a tensor (N, C, H, W), (N, H, W, C) or, of grey images,
            (N, H, W), as bytes or in [-1, 1].
        modality: of the model.

    Raises:
        UsageError: there is nothing at a path, or the images do not have the shape of the model.
        DataError: no file could be read.
    """
    if is_array(given):
        images = _of_array(as_array(given), modality)
        title = f"array-{hashlib.sha256(images.numpy().tobytes()).hexdigest()[:8]}"
        return Read(title, [str(at) for at in range(len(images))], images)
    if not isinstance(given, str | os.PathLike):
        raise UsageError(
            f"images are a path, the name of data of your own, or an array (N, {_axes(modality.shape)}), not a "
            f"{type(given).__name__}"
        )
    name = os.fspath(given)
    if name in registered("data"):
        part = held_out_of(name, modality)
        return Read(name, [str(at) for at in range(len(part))], part.batch(np.arange(len(part))).x)
    return _of_files(Path(name), modality)


def held_out_of(name: str, modality: Modality) -> Split:
    """Return the held-out part of data, as `opened_for`."""
    return opened_for(name, modality).held_out


def opened_for(name: str, modality: Modality) -> Source:
    """Return data that are known by name or path, in the size of `modality`.

    Raises:
        UsageError: there are no such data, or they do not have the shape of the model.
        DataError: data that cannot be used as they are.
    """
    sizes = {"channels": modality.shape[0], "size": modality.shape[1]} if modality.spatial == 2 else {}
    source = as_source(name, **sizes)  # type: ignore[arg-type]
    if source.train.spec.target.shape != modality.shape:
        raise _misshaped(f"the data {name} hold {source.train.spec.target.shape}", modality)
    return source


def _of_array(given: Array, modality: Modality) -> Tensor:
    shape, images = modality.shape, given
    if len(shape) == 3 and given.shape[1:] == (*shape[1:], shape[0]) and given.shape[1:] != shape:
        images = np.moveaxis(given, 3, 1)
    elif shape[0] == 1 and len(shape) == 3 and given.shape[1:] == shape[1:]:
        images = given[:, None]
    if images.shape[1:] != shape or not len(images):
        single = given.ndim == len(shape) == 3 and shape[0] in (given.shape[0], given.shape[-1])
        hint = ". Give a single picture as array[None]" if single else ""
        raise _misshaped(f"the array has shape {given.shape}", modality, hint)
    if images.dtype == np.uint8 and len(shape) == 3:
        return torch.from_numpy(as_floats(images))
    if images.dtype.kind != "f" or not np.isfinite(images).all():
        raise UsageError(f"the array holds {given.dtype}: give bytes, or finite floats in [-1, 1]")
    low, high = float(images.min()), float(images.max())
    if len(shape) == 3 and (low < -1 - SLACK or high > 1 + SLACK or low >= -SLACK):
        raise UsageError(
            f"the array has values from {low:g} to {high:g}: give bytes, or floats in [-1, 1], as x * 2 - 1 is if "
            "x is in [0, 1]"
        )
    values = torch.from_numpy(np.ascontiguousarray(images, np.float32))
    return values.clip(-1, 1) if len(shape) == 3 else values


def _misshaped(what: str, modality: Modality, hint: str = "") -> UsageError:
    return UsageError(f"{what}, but this model was trained on {modality.noun} (N, {_axes(modality.shape)}){hint}")


def _axes(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))


def list_pictures(path: Path, modality: Modality, option: str = "") -> Listing:
    """Return the listing of a folder, or of one picture.

    Args:
        path: of the folder or the picture.
        modality: of the model.
        option: the flag that the path is given by, and a space.

    Raises:
        UsageError: there is nothing at the path, or a model of `modality` takes no pictures.
    """
    if not path.exists():
        raise UsageError(f"there is no picture or folder {option}{path}.{similar(path) or ' Check the path.'}")
    if modality.spatial != 2:
        raise UsageError(f"this model was trained on {modality.noun}, not on pictures")
    if path.is_dir():
        return list_folder(path)
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder")
    return Listing(str(path.parent), [Entry(path.name, ())], [], lambda at: path.open("rb"))


def unreadable(
    path: object, rejected: Sequence[Rejected], noun: str = "pictures", done: str = "read"
) -> DataError:
    """Return the error that no picture, or other example of a `noun`, could be read, or what `done` says."""
    reasons = "; ".join(f"{r.path}: {r.reason}" for r in rejected[:5]) or "it is empty"
    return DataError(f"no {noun.removesuffix('s')} could be {done} at {path}: {reasons}")


def _of_files(path: Path, modality: Modality) -> Read:
    listing = list_pictures(path, modality)
    channels, side, other = modality.shape
    if side != other:
        raise UsageError(f"this model was trained on pictures of {side}×{other}; pictures are read as squares")
    names, images, rejected, cropped = [], [], list(listing.rejected), 0
    with strict():
        for at, entry in enumerate(listing.entries):
            try:
                with listing.open(at) as file:
                    array, (height, width) = decode(file, side, channels)
            except Exception as error:  # for damaged files Pillow's plugins raise almost any type
                rejected.append(Rejected(printable(entry.path), reason(error)))
            else:
                names.append(printable(entry.path))
                images.append(array)
                cropped += height != width
    if not images:
        raise unreadable(path, rejected)
    pixels = torch.from_numpy(np.stack(images)).float() / 127.5 - 1
    return Read(path.stem or "pictures", names, pixels, rejected, cropped)
