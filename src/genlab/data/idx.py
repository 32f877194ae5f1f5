"""Reads the IDX format of MNIST and similar data sets."""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from genlab.core.errors import DataError
from genlab.data.dataset import Array, Source, make_dataset
from genlab.data.fit import Size, default_size, fit_all, rule
from genlab.data.labels import encode
from genlab.data.stored import stored
from genlab.data.unpacked import check_unpacked

_STEMS = {"train": "train", "held-out": "t10k"}
FILES = tuple(f"{stem}-{what}" for stem in _STEMS.values() for what in ("images-idx3-ubyte", "labels-idx1-ubyte"))
_LIMIT = 2**28  # bytes of a downloaded file when decompressed
_PADDING = 2  # MNIST's 28 pixels to 32


def find(folder: Path, file: str) -> Path | None:
    """Return the path of `file` in `folder`, plain or gzipped, or None."""
    return next((path for path in (folder / file, folder / f"{file}.gz") if path.is_file()), None)


def holds_idx(folder: Path) -> bool:
    """Return whether a folder holds IDX files named as those of MNIST."""
    return find(folder, FILES[0]) is not None


def read_bytes(path: Path) -> bytes:
    """Return the content of a plain or gzipped file that was downloaded.

    Raises:
        DataError: the file is missing, unreadable, damaged or larger than any published one.
    """
    try:
        with _opened(path) as file:
            content = file.read(_LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(_damaged(path, error)) from error
    if len(content) > _LIMIT:
        raise DataError(f'"{path}" holds more than {_LIMIT} bytes.')
    return content


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _damaged(path: Path, error: Exception) -> str:
    return f'"{path}" cannot be read: {error}. Fetch it again.'


def read_array(path: Path, dimensions: int) -> Array:
    """Return the content of an IDX file of unsigned bytes, plain or gzipped, as an array.

    Raises:
        DataError: another type of content or number of dimensions, a length that differs from the declared one, or
            one that is much larger than the file.
    """
    try:
        with _opened(path) as file:
            mark, sizes = file.read(4), file.read(4 * dimensions)
            if mark != bytes((0, 0, 8, dimensions)) or len(sizes) < 4 * dimensions:
                raise DataError(f'"{path}" is not an IDX file of unsigned bytes in {dimensions} dimension(s).')
            shape = struct.unpack(f">{dimensions}I", sizes)
            count = math.prod(shape)
            check_unpacked(path, count)
            content = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(_damaged(path, error)) from error
    if len(content) != count:
        holds = f"{len(content):,}" if len(content) < count else "more"
        raise DataError(f'"{path}" declares {shape}, {count:,} bytes, but holds {holds}: fetch it again.')
    if not count:
        raise DataError(f'"{path}" declares {shape}: it is empty.')
    return np.frombuffer(content, np.uint8).reshape(shape)


def open_idx(
    name: str,
    folder: Path,
    size: Size | None,
    channels: int | None,
    cache: Path,
    classes: tuple[str, ...] | None = None,
) -> Source:
    """Open the four IDX files in `folder`, with their own training and test splits.

    For size 32, images of 28×28 are padded with two pixels of background (0) on every side, without resampling;
    for other sizes images are resized.

    Raises:
        DataError: a missing or damaged file, or labels that do not fit.
    """
    found = [find(folder, file) for file in FILES]
    paths = [path for path in found if path]
    if len(paths) < len(FILES):
        missing = ", ".join(file for file, path in zip(FILES, found, strict=True) if not path)
        raise DataError(f'"{folder}" lacks {missing} (plain or .gz).')
    make = partial(_make, name, folder, paths, size, channels, classes)
    return stored(name, paths, size, channels, cache, make)


def _make(
    name: str,
    folder: Path,
    paths: Sequence[Path],
    size: Size | None,
    channels: int | None,
    classes: tuple[str, ...] | None,
) -> Source:
    arrays = [read_array(path, 1 + 2 * (at % 2 == 0)) for at, path in enumerate(paths)]
    if classes:
        names, labels = classes, [array.astype(np.int64) for array in arrays[1::2]]
    else:
        names, labels = encode(arrays[1::2], list(map(len, arrays[1::2])), [str(path) for path in paths[1::2]])
    native = arrays[0].shape[1:]
    size = size or default_size([min(native)])
    sides = []
    for title, images, its in zip(_STEMS, arrays[::2], labels, strict=True):
        if len(images) != len(its) or its.max() >= len(names):
            raise DataError(
                f'"{folder}": {len(images)} images, {len(its)} labels up to {its.max()} and '
                f"{len(names)} classes do not fit together ({title})."
            )
        values = _sized(images[:, None], size, channels or 1)
        sides.append(make_dataset(f"{name}/{title}", values, its, names))
    notes = {
        "split": "the source's own: train files for training, t10k files held out",
        "native size": f"{native[1]}x{native[0]}",
        "resize": f"2 px of background around 28x28 for 32, else {rule(size)}",
    }
    return Source(name, sides[0], sides[1], len(sides[0]) + len(sides[1]), notes=notes)


def _sized(images: Array, size: Size, channels: int) -> Array:
    if images.shape[2:] == (28, 28) and size == 28 + 2 * _PADDING:
        images = np.pad(images, ((0, 0), (0, 0), (_PADDING, _PADDING), (_PADDING, _PADDING)))
    return fit_all(images, size, channels)
