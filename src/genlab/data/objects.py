"""Opens data that are given in Python: arrays, tensors, data sets, lists of files."""

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.parts import NO_OPTIONS, Table, calling, registered
from genlab.core.parts import Part as OwnPart
from genlab.data.arrays import Asked, Layout, as_array, source_of_parts
from genlab.data.cache import cache_folder
from genlab.data.check import checked
from genlab.data.dataset import Source
from genlab.data.files import open_files
from genlab.data.fit import Size, check_request
from genlab.data.items import is_array, open_items, read_items
from genlab.data.kinds import FILES, ITEMS, Pair, in_two_parts, kind_of, opened, pair
from genlab.data.labels import label_array
from genlab.data.ranges import Part
from genlab.data.source import NAMES, open_source
from genlab.data.tables import source_of_raw
from genlab.data.tables_files import is_frame, raw_frame
from genlab.data.tables_inputs import digest

_WHATS = ("data", "held_out")  # in messages


def as_source(
    data: object,
    *,
    labels: object = None,
    classes: Sequence[str] | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 the word that users expect
    layout: Layout | None = None,
    held_out: object = None,
    size: Size | None = None,
    channels: int | None = None,
    max_rejected: float = 0.01,
    label: str | None = None,
    ignore: Sequence[str] = (),
    name: str | None = None,
    cache: Path | None = None,
    progress: bool = True,
    own: Mapping[str, Any] = NO_OPTIONS,
) -> Source:
    """Return any data as a source to train on; its `notes` say what was recognised and done.

    Bytes (N, C, H, W) that have the wanted size are not copied, so do not change them afterwards.

    Args:
        data: an array or a tensor of images (N, C, H, W), (N, H, W, C) or (N, H, W), or of points (N, D);
            (images, labels), or two of them, for training and held out; a dictionary with "images", "labels",
            "test_images" and "test_labels", or with "train" and "test"; a data set of torch or Hugging Face; a
            list of image files; a data frame; a path or a name, as `open_source` takes it; or a `Source`.
        labels: (N,) or (N, 1) whole numbers, or text.
        classes: the names of the labels 0 to K − 1; None takes those that the data know, else the distinct labels.
        range: the values that become -1 and 1, such as (0, 255). None recognises bytes, and floats that nearly
            reach both ends of [0, 1] or of [-1, 1]; anything else is refused, because it may be misread.
        layout: "NCHW", "NHWC" or "NHW", if the shape does not tell.
        held_out: data of the same kind that are held out, with labels as (images, labels); None holds out about
            10%, by a hash of the row number.
        size: the shorter side after resizing in pixels; None keeps squares of 16, 32, 64, 128 or 256 pixels, and
            takes 32 for other small pictures and 64 for other large ones.
        channels: 1 (grey) or 3 (colour); None keeps what there is.
        max_rejected: the largest share of files, or of rows of a table, that may be damaged.
        label: the column of a table with the labels, which are not trained on.
        ignore: columns of a table to leave out.
        name: of the source; None describes the data.
        cache: the folder of decoded pictures and large arrays; None takes `cache_folder()`.
        progress: show progress bars on a terminal.
        own: options of own sources, which are known by name.

    Raises:
        UsageError: options that do not fit the data.
        DataError: data that cannot be used as they are.
    """
    check_request(size, channels)
    asked = Asked(range, layout, size, channels, classes)
    if isinstance(data, Mapping):
        data, labels, held_out = opened(data, labels, held_out)
    elif labels is None and held_out is None and in_two_parts(data):
        data, held_out = data
    given = {"labels": labels, "classes": classes, "range": range, "layout": layout, "held_out": held_out}
    if isinstance(data, Source):
        _refuse("a Source", {**given, "size": size, "channels": channels, "name": name})
        return checked(data)
    cache = cache or cache_folder()
    if isinstance(data, str | os.PathLike):
        _refuse("a path or a name", {**given, "range": None, "name": name})
        asking: dict[str, Any] = {"size": size, "channels": channels, "max_rejected": max_rejected}
        asking |= {} if range is None else {"range": range}
        asking |= ({} if label is None else {"label": label}) | ({"ignore": ignore} if ignore else {})
        if data in registered("data"):
            return SOURCES.bound(str(data), own)(**asking, progress=progress)
        return open_source(os.fspath(data), **asking, cache=cache, progress=progress)
    if is_frame(data):
        _refuse("a data frame", {**given, "size": size, "channels": channels})
        return source_of_raw(raw_frame(name, data), label, ignore, max_rejected, cache, progress=progress)
    if label is not None or ignore:
        raise UsageError("label and ignore name columns of a table: give the path of one, or a data frame.")
    pairs = [pair(data, labels)] + ([] if held_out is None else [pair(held_out, None)])
    kinds = [kind_of(part) for part, _ in pairs]
    if len(set(kinds)) > 1:
        raise UsageError(f"held_out is {kinds[1]}, but the data are {kinds[0]}: give both in the same kind.")
    if kinds[0] == FILES:
        _refuse(FILES, {"range": range, "layout": layout})
        files, its = zip(*pairs, strict=True)
        title = name or f"list of {len(files[0]):,} files"
        return open_files(title, files, its, asked, max_rejected, cache, progress)
    if kinds[0] == ITEMS:
        return _of_items(name, pairs, asked, cache, progress)
    parts = [Part(what, as_array(part), its) for what, (part, its) in zip(_WHATS, pairs, strict=False)]
    title = f"array {parts[0].values.shape}"
    return source_of_parts(name or title, parts, asked, {"data": f"{title} of {parts[0].values.dtype}"})


def is_made(data: object) -> bool:
    """Return whether `data` is a function that makes the data, or a class of them."""
    return inspect.isroutine(data) or isinstance(data, type)


_just_read: list[tuple[object, Source]] = []  # the data set that was hashed last: reading may take minutes


def content_hash(data: object) -> str:
    """Return a hash (hex) of data that are given in Python: the same for the same examples in any process.

    Raises:
        GenlabError: as `as_source`.
    """
    if is_frame(data):
        return digest(raw_frame(None, data))
    source = as_source(data, max_rejected=1)
    if hasattr(data, "__getitem__") and not is_array(data) and not isinstance(data, list | tuple | Mapping):
        _just_read[:] = [(data, source)]
    sides = [source.train.fingerprint, source.held_out.fingerprint]
    return hashlib.sha256(json.dumps([*sides, source.train.spec.values()]).encode()).hexdigest()


def own_source(part: OwnPart, own: Mapping[str, Any]) -> Callable[..., Source]:
    """Return a function, with options of `as_source`, that opens a user's own data: an object or a function."""
    make = part.bound(own)

    def opened(**asking: Any) -> Source:  # noqa: ANN401 (options of `as_source`)
        data = part.value
        if is_made(data):
            with calling(part):
                data = make()
        if isinstance(data, str | os.PathLike) and data == part.name:
            raise UsageError(f'the data "{part.name}" are themselves again. Return a path, or another object.')
        if _just_read and _just_read[0][0] is data:
            _, source = _just_read.pop()  # also if another size has to be read: it is not kept in memory
            if not any(asking.get(option) for option in ("size", "channels", "range")):
                return replace(source, name=part.name)
        return replace(as_source(data, **asking), name=part.name)

    return opened


SOURCES: Table[Callable[..., Source]] = Table(
    "data", {name: partial(open_source, name) for name in NAMES}, own_source
)


def _of_items(name: str | None, pairs: Sequence[Pair], asked: Asked, cache: Path, progress: bool) -> Source:
    """Return the source of data sets, with the labels of their items or those that are given."""
    sets = [open_items(part, what) for what, (part, _) in zip(_WHATS, pairs, strict=False)]
    parts, asked, notes = read_items(sets, asked, cache, progress)
    for at, (_, labels) in enumerate(pairs):
        if labels is not None and parts[at].labels is not None:
            raise UsageError(f"labels are given twice: as labels=… and by the items of {sets[at].name}.")
        parts[at] = replace(parts[at], labels=parts[at].labels if labels is None else labels)
    given = [label_array(part.labels, "labels") for part in parts if part.labels is not None]
    if given and asked.classes is None and all(its.dtype.kind in "iu" for its in given):
        asked = replace(asked, classes=sets[0].classes)
    return source_of_parts(name or sets[0].name, parts, asked, {"data": sets[0].name, **sets[0].notes, **notes})


def _refuse(kind: str, options: dict[str, object]) -> None:
    """Raise UsageError if one of `options` is given."""
    for option, value in options.items():
        if value is not None:
            raise UsageError(f"{kind} takes no {option}: leave it out.")
