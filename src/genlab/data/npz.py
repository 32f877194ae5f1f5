"""Opens images in an `.npz` or `.npy` file."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from genlab.core.errors import DataError
from genlab.data.arrayfile import Header, open_arrays
from genlab.data.arrays import assemble
from genlab.data.dataset import Array, IntArray, Source
from genlab.data.fit import CHANNELS, Size, change, default_size, fit_all, sides
from genlab.data.keys import find_keys
from genlab.data.labels import encode
from genlab.data.ranges import IN_A_FILE, Part, limits, nearest_bytes
from genlab.data.split import RULE
from genlab.data.stored import stored

Range = tuple[float, float]
_UNNAMED = {"arr_0": "images", "arr_1": "labels"}  # what np.savez calls arrays without a name


def open_npz(
    name: str, path: Path, size: Size | None, channels: int | None, cache: Path, range_: Range | None = None
) -> Source:
    """Open the arrays `images` and, if present, `labels` and a held-out part.

    Images are `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)` with C 1 or 3: bytes, or floats that nearly reach both
    ends of [0, 1] or [-1, 1], or numbers of any type in `range_`. Labels are integers or strings. The held-out
    part is `held_out_images` and `held_out_labels`, or `test_images` and `test_labels`. Without names, the first
    array holds the images, and the second one labels if it has one number for each. Pickled arrays are never read.

    Raises:
        DataError: a damaged file, a missing key, or an array of another shape, type or range.
    """
    asked = (size, channels, range_)
    return stored(name, [path], size, channels, cache, partial(_make, name, path, *asked), depends=range_)


def images_header(path: Path) -> Header:
    """Return the header of the training images, without reading them.

    Raises:
        DataError: a damaged file, or one without images.
    """
    with open_arrays(path) as arrays:
        names = _names(arrays.headers)
        (key, *_), _ = find_keys(names, f'"{path}"')
        return arrays.headers[names[key]]


def _make(name: str, path: Path, size: Size | None, channels: int | None, range_: Range | None) -> Source:
    with open_arrays(path) as arrays:
        names = _names(arrays.headers)
        keys, label_keys = find_keys(names, f'"{path}"')
        read = {key: arrays.read(names[key]) for key in (*keys, *label_keys)}
    parts, notes = as_images(path, {names[key]: read[key] for key in keys}, size, channels, range_)
    classes, labels = _labels([f'"{path}": {names[key]}' for key in label_keys], read, label_keys, parts)
    rule = RULE if len(keys) == 1 else f'the source\'s own: "{names[keys[1]]}" held out'
    if unused := sorted(set(arrays.headers) - {names[key] for key in read}):
        notes["not used"] = f"the arrays {', '.join(unused)}"
    return assemble(name, parts, labels, classes, rule, notes)


def as_images(
    path: Path, arrays: Mapping[str, Array], size: Size | None, channels: int | None, range_: Range | None
) -> tuple[list[Array], dict[str, str]]:
    """Return the arrays of a file as bytes (N, C, H, W) of one size, and notes on what was recognised and done.

    Raises:
        DataError: an array of another shape, type or range.
    """
    laid_out = [_layout(array, f"{path}: {key}") for key, array in arrays.items()]
    given = [Part(f'"{path}": {key}', images) for key, (images, _) in zip(arrays, laid_out, strict=True)]
    low, high, found = _limits(given, range_)
    parts = [nearest_bytes(part.values, low, high) for part in given]
    native = parts[0].shape[1:]
    size = size or default_size([min(native[1:])])
    channels = channels or native[0]
    notes = {
        "recognised": f"{', '.join(layout for _, layout in laid_out)}; {found}",
        "native size": f"{native[2]}x{native[1]}",
    }
    if (channels, *sides(size)) != native:
        notes["resize"] = change(native, size, channels)
    return [fit_all(part, size, channels) for part in parts], notes


def _names(headers: Mapping[str, Header]) -> dict[str, str]:
    """Return the names of arrays by their meaning; those that `np.savez` names are images and labels."""
    if "images" in headers or "arr_0" not in headers:
        return {name: name for name in headers}
    counts = [headers[name].shape for name in _UNNAMED if name in headers]
    labelled = len(counts) == 2 and counts[1] == counts[0][:1]
    return {_UNNAMED[name]: name for name in (_UNNAMED if labelled else ["arr_0"])}


def _limits(parts: Sequence[Part], given: Range | None) -> tuple[float, float, str]:
    for part in parts:
        if part.values.dtype.kind not in "fiub":
            raise DataError(f"{part.about} does not hold numbers: give uint8 or floats.")
    return limits(parts, given, IN_A_FILE)


def _layout(images: Array, what: str) -> tuple[Array, str]:
    """Return the images as `(N, C, H, W)` and what was recognised."""
    if images.size and images.ndim == 3:
        return images[:, None], "(N, H, W)"
    if images.size and images.ndim == 4 and images.shape[3] in CHANNELS:
        return images.transpose(0, 3, 1, 2), "(N, H, W, C)"
    if images.size and images.ndim == 4 and images.shape[1] in CHANNELS:
        return images, "(N, C, H, W)"
    raise DataError(f"{what} has shape {images.shape}; give (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3.")


def _labels(
    whats: Sequence[str], arrays: Mapping[str, Array], keys: Sequence[str], parts: Sequence[Array]
) -> tuple[tuple[str, ...], Sequence[IntArray | None]]:
    if not keys:
        return (), [None for _ in parts]
    return encode([arrays[key] for key in keys], list(map(len, parts)), whats)
