"""Opens data to translate: pairs of sources and targets, two unpaired sides, labelled domains, styles."""

import os
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from genlab.core.condition import SOURCE
from genlab.core.errors import DataError, UsageError
from genlab.core.files import expanded
from genlab.core.parts import registered
from genlab.core.reading import Direction, Pairs, Reads
from genlab.data.apart import as_read
from genlab.data.archive import list_zip
from genlab.data.arrayfile import open_arrays
from genlab.data.cache import cache_folder
from genlab.data.dataset import Source
from genlab.data.fit import check_request
from genlab.data.idx import holds_idx
from genlab.data.listing import Listing, list_folder
from genlab.data.named import NAMED
from genlab.data.objects import as_source
from genlab.data.pairing import translation
from genlab.data.side_arrays import open_array_sides, sides_of_sources
from genlab.data.side_pictures import join_listings, open_side_pictures
from genlab.data.sides import find_sides, halves, join_sides, letter_of, say_sides
from genlab.data.source import NAMES
from genlab.data.two_sides import TwoSides
from genlab.data.wrappers import Unpaired

_DOMAINS = 2  # at least


def open_translation(
    data: object,
    reads: Reads,
    *,
    source: str | None = None,
    pairs: Pairs = "auto",
    side_by_side: bool = False,
    direction: Direction = "a-to-b",
    seed: int = 0,
    **options: Any,  # noqa: ANN401 (options of `as_source`)
) -> Source:
    """Open the data of a model that learns from what `reads` says.

    Args:
        data: examples as `as_source` takes them; of pairs, sides and styles: both sides, or only the targets if
            `source` is given.
        reads: "examples", "pairs", "sides", "domains" or "styles", as `Recipe.reads` explains.
        source: the sources, as `data`.
        pairs: whether sources belong to the targets of the same name. "auto" pairs them for models that read
            pairs; for others only what is held out, to measure with, and only if all of it is in pairs.
        side_by_side: whether each image holds a source and its target.
        direction: which side is the source.
        seed: of the order of unpaired sources.
        **options: of `as_source`.

    Raises:
        UsageError: options that do not fit the data.
        DataError: data that cannot be used as they are.
    """
    if reads in ("examples", "domains"):
        refuse_sided(reads, source, pairs, side_by_side, direction)
        opened = as_source(data, **options)
        return opened if reads == "examples" else _domains(opened, seed)
    if not _may_be_sides(data, source):
        opened = as_source(data, **options)
        if SOURCE in opened.train.spec.conditions:
            if side_by_side:
                raise UsageError(f'"{opened.name}" has a source for each example: leave out --side-by-side.')
            return as_read(opened, reads, pairs, direction, seed)
    sides = open_sides(data, source=source, side_by_side=side_by_side, **options)
    return translation(sides, reads, pairs, direction, seed, options.get("max_rejected", 0.01))


def open_described(
    data: object,
    *,
    source: str | None = None,
    pairs: Pairs = "auto",
    side_by_side: bool = False,
    direction: Direction = "a-to-b",
    **options: Any,  # noqa: ANN401 (options of `as_source`)
) -> tuple[Source, TwoSides | None]:
    """Open data to describe them: two sides if there are two or options ask for them, else examples.

    "auto" takes the sides for pairs if at least half of the names on the smaller side are also on the other.

    Raises:
        UsageError: options that do not fit the data.
        DataError: data that cannot be used as they are.
    """
    asked = source is not None or side_by_side or pairs != "auto" or direction != "a-to-b"
    if not _may_be_sides(data, source) or not (asked or _say_sides(data)):
        if not asked:
            return as_source(data, **options), None
        how: dict[str, Any] = {"pairs": pairs, "side_by_side": side_by_side, "direction": direction}
        return open_translation(data, "pairs", **how, **options), None
    sides = open_sides(data, source=source, side_by_side=side_by_side, **options)
    if pairs == "auto":
        pairs = "aligned" if sides.likely_pairs else "unaligned"
    return translation(sides, "sides", pairs, direction, 0, options.get("max_rejected", 0.01)), sides


def _say_sides(data: object) -> bool:
    """Return whether the names of folders or arrays say that these are the sides A and B."""
    path = path_of(data)
    assert path is not None
    with ExitStack() as opened:
        if (listing := listing_of(path, opened)) is not None:
            return say_sides([entry.path for entry in listing.entries])
    if path.suffix != ".npz" or not path.is_file():
        return False
    with open_arrays(path) as arrays:
        return {place and place[0] for place in map(letter_of, arrays.headers)} >= {0, 1}


def open_sides(
    data: object,
    *,
    source: str | None = None,
    side_by_side: bool = False,
    **options: Any,  # noqa: ANN401 (options of `as_source`)
) -> TwoSides:
    """Open both sides of data to translate, before it is decided what is read together.

    `translation` makes a source of them. With `source`, its examples are A and those of `data` B.

    Raises:
        UsageError: options that do not fit the data.
        DataError: data without two sides, or that cannot be used as they are.
    """
    check_request(options.get("size"), options.get("channels"))
    if source is not None:
        if side_by_side:
            raise UsageError("--side-by-side splits each image of --data into two, so that there is no --source.")
        return _open_two(data, source, options)
    path = path_of(data)
    with ExitStack() as opened:
        listing = None if path is None else listing_of(path, opened)
        if listing is None:
            if side_by_side:
                raise UsageError(f'"{data}" is no folder or zip: --side-by-side splits pictures. Leave it out.')
            if path is None or path.suffix != ".npz":
                raise _no_sides(data)
            return open_array_sides(str(data), path, options)
        _refuse_range(data, options)
        paths = [entry.path for entry in listing.entries]
        sides = halves(paths) if side_by_side else find_sides(str(data), paths)
        return open_side_pictures(str(data), listing, sides, *_asked(options), halves=side_by_side)


def _open_two(data: object, source: str, options: Mapping[str, Any]) -> TwoSides:
    """Open the targets in `data` and their sources."""
    target, its = path_of(data), path_of(source)
    if data == source or (target is not None and its is not None and target.resolve() == its.resolve()):
        raise UsageError(f'--data and --source are the same: "{source}". Give the targets and their sources.')
    with ExitStack() as opened:
        listings = [None if path is None else listing_of(path, opened) for path in (its, target)]
        if listings[0] is None or listings[1] is None:
            return sides_of_sources(as_source(source, **options), as_source(data, **options))
        for one, listed in zip((source, data), listings, strict=True):
            _refuse_range(one, options)
            if listed is not None and not listed.entries:
                raise DataError(
                    f'"{one}" holds no pictures. Give the folder or zip that holds those of this side.'
                )
        assert its is not None
        assert target is not None
        names = (its.stem, target.stem) if its.stem != target.stem else ("source", "target")
        listing = join_listings(names, listings[0], listings[1])
        sides = join_sides(names, ([e.path for e in listings[0].entries], [e.path for e in listings[1].entries]))
        return open_side_pictures(str(data), listing, sides, *_asked(options))


def _may_be_sides(data: object, source: str | None) -> bool:
    return source is not None or path_of(data) is not None


def path_of(data: object) -> Path | None:
    """Return the path of a folder or file that `data` names; None for other data."""
    if not isinstance(data, str | os.PathLike) or data in (*NAMES, *registered("data")):
        return None
    text = os.fspath(data)
    if text.partition(":")[0] in NAMED:
        return None
    path = expanded(text)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):
        return None


def listing_of(path: Path, opened: ExitStack) -> Listing | None:
    """Return the files of a folder or a zip of pictures, which stays open; None for others."""
    if path.is_dir():
        return None if holds_idx(path) else list_folder(path)
    if path.suffix != ".npz" and path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path)):
        return opened.enter_context(list_zip(path))
    return None


def _asked(options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return size, channels, share of rejected files, cache and progress."""
    return (
        options.get("size"),
        options.get("channels"),
        options.get("max_rejected", 0.01),
        options.get("cache") or cache_folder(),
        options.get("progress", True),
    )


def _refuse_range(data: object, options: Mapping[str, Any]) -> None:
    if options.get("range") is not None:
        raise UsageError(f'"{data}" takes no range: only the numbers of an .npz or .npy do. Leave it out.')


def _no_sides(data: object) -> UsageError:
    return UsageError(
        f'"{data}" has no two sides to translate between. Give a folder, zip or .npz with A and B, or the targets '
        "by --data and the sources by --source. For a first try: --data paired-digits."
    )


def refuse_sided(reads: Reads, source: str | None, pairs: Pairs, side_by_side: bool, direction: Direction) -> None:
    """Raise UsageError if options of data with two sides are given for a model that reads others."""
    given = {
        f"--source {source}": source is not None,
        f"--pairs {pairs}": pairs != "auto",
        "--side-by-side": side_by_side,
        f"--direction {direction}": direction != "a-to-b",
    }
    if wrong := [option for option, there in given.items() if there]:
        readers: Mapping[str, str] = {
            "domains": "translates between the classes of its data",
            "degraded": "degrades the pictures that it restores by itself",
        }
        reader = readers.get(reads, "learns from examples alone")
        raise UsageError(
            f"{wrong[0]} is for models that translate one side of the data into the other, such as pix2pix and "
            f"cyclegan; this one {reader}. Leave it out."
        )


def _domains(opened: Source, seed: int) -> Source:
    if opened.train.spec.classes < _DOMAINS:
        raise DataError(
            f'"{opened.name}" has no classes to translate between. Give a folder with one sub-folder '
            "for each domain."
        )
    sides = [name for name in opened.train.spec.class_names if (letter_of(name) or (0, ""))[1]]
    if sides:
        raise DataError(
            f'"{opened.name}" has {", ".join(sides)}: these are splits of two sides. Move them to train/A, '
            "train/B, test/A and test/B, or train cyclegan on them."
        )
    train, held_out = (Unpaired(split, split, seed) for split in (opened.train, opened.held_out))
    return replace(opened, train=train, held_out=held_out)
