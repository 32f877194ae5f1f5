"""Opens images in an `.npz` file."""

import zipfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from genlab.core.errors import DataError
from genlab.data.arrays import assemble
from genlab.data.dataset import Array, IntArray, Source
from genlab.data.fit import CHANNELS, Size, default_size, fit_all
from genlab.data.keys import find_keys
from genlab.data.labels import encode
from genlab.data.split import RULE
from genlab.data.stored import stored


def open_npz(name: str, path: Path, size: Size | None, channels: int | None, cache: Path) -> Source:
    """Open the arrays `images` and, if present, `labels` and a held-out part.

    Images are `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)` with C 1 or 3, bytes or floats in [0, 1] or [-1, 1];
    labels are integers or strings. The held-out part is `held_out_images` and `held_out_labels`, or `test_images`
    and `test_labels`. Pickled arrays are never read.

    Raises:
        DataError: a damaged file, a missing key, or an array of another shape, type or range.
    """
    return stored(name, [path], size, channels, cache, partial(_make, name, path, size, channels))


def _make(name: str, path: Path, size: Size | None, channels: int | None) -> Source:
    arrays = _load(path)
    keys, label_keys = find_keys(arrays, f'"{path}"')
    laid_out = [_layout(arrays[key], f"{path}: {key}") for key in keys]
    parts, scale = _bytes([images for images, _ in laid_out], f"{path}: {' and '.join(keys)}")
    classes, labels = _labels(path, arrays, label_keys, parts)
    native = parts[0].shape[1:]
    size = size or default_size([min(native[1:])])
    channels = channels or native[0]
    fitted = [fit_all(part, size, channels) for part in parts]
    rule = RULE if len(keys) == 1 else f'the source\'s own: "{keys[1]}" held out'
    notes = {
        "recognised": f"{', '.join(layout for _, layout in laid_out)}; {scale}",
        "native size": f"{native[2]}x{native[1]}",
    }
    return assemble(name, fitted, labels, classes, rule, notes)


def _load(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, TypeError, EOFError, MemoryError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f'"{path}" is not an .npz of plain arrays: {error}') from error


def _layout(images: Array, what: str) -> tuple[Array, str]:
    """Return the images as `(N, C, H, W)` and what was recognised."""
    if images.size and images.ndim == 3:
        return images[:, None], "(N, H, W)"
    if images.size and images.ndim == 4 and images.shape[3] in CHANNELS:
        return images.transpose(0, 3, 1, 2), "(N, H, W, C)"
    if images.size and images.ndim == 4 and images.shape[1] in CHANNELS:
        return images, "(N, C, H, W)"
    raise DataError(f"{what} has shape {images.shape}; give (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3.")


def _bytes(parts: Sequence[Array], what: str) -> tuple[list[Array], str]:
    """Return the images as bytes, and the range that was recognised from all parts together."""
    kinds = {part.dtype.name for part in parts}
    if kinds == {"uint8"}:
        return list(parts), "bytes 0..255"
    if not all(part.dtype.kind == "f" for part in parts):
        raise DataError(f"{what}: type {' and '.join(kinds)}; give uint8, or floats in [0, 1] or [-1, 1].")
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    if not all(np.isfinite(part).all() for part in parts):
        raise DataError(f"{what}: NaN or infinite values.")
    if low < -1 or high > 1:
        raise DataError(f"{what}: from {low:g} to {high:g}; give floats in [0, 1] or [-1, 1], or uint8.")
    scale, shift, range_ = (127.5, 1, "floats in [-1, 1]") if low < 0 else (255, 0, "floats in [0, 1]")
    return [np.rint((part.astype(np.float32) + shift) * scale).astype(np.uint8) for part in parts], range_


def _labels(
    path: Path, arrays: dict[str, Array], keys: Sequence[str], parts: Sequence[Array]
) -> tuple[tuple[str, ...], Sequence[IntArray | None]]:
    if not keys:
        return (), [None for _ in parts]
    whats = [f'"{path}": {key}' for key in keys]
    return encode([arrays[key] for key in keys], list(map(len, parts)), whats)
