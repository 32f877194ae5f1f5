"""Opens pictures with degraded copies of themselves, from which models learn to restore them."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from genlab.core.condition import SOURCE
from genlab.core.errors import UsageError
from genlab.core.files import expanded
from genlab.core.parts import registered
from genlab.data.cache import cache_folder
from genlab.data.dataset import Source
from genlab.data.degradations import chain
from genlab.data.fit import check_request
from genlab.data.objects import as_source
from genlab.data.patches import open_patches
from genlab.data.source import is_name, similar
from genlab.data.translation import listing_of, path_of
from genlab.data.wrappers import Degraded


def open_degraded(
    data: object,
    degrade: Sequence[str],
    *,
    patches: int | None = None,
    seed: int = 0,
    **options: Any,  # noqa: ANN401 (options of `as_source`)
) -> Source:
    """Open pictures, each with a degraded copy of itself as the condition "source".

    Data that have sources already, which somebody degraded, are returned as they are.

    Args:
        data: pictures as `as_source` takes them; with `patches` a folder or a zip.
        degrade: as `chain` takes it.
        patches: the side of squares that are cut out of the pictures in their own sizes; None resizes whole
            pictures.
        seed: of patches and degradations.
        **options: of `as_source`.

    Raises:
        UsageError: options that do not fit the data.
        DataError: data that cannot be used as they are.
    """
    how = chain(degrade)
    opened = as_source(data, **options) if patches is None else cut_into_patches(data, patches, seed, **options)
    if SOURCE in opened.train.spec.conditions:
        return opened
    how.conditions(opened.train.spec.target)
    how = how.opened(opened.train.spec.target)
    text = " ".join(degrade if how.masks is None else [*degrade[:-1], f"holes={how.masks.fingerprint}"])
    train, held_out = (Degraded(split, how, text, seed) for split in (opened.train, opened.held_out))
    notes = {**opened.notes, "degraded": text, **({"masks": how.masks.note} if how.masks else {})}
    return replace(opened, train=train, held_out=held_out, notes=notes)


def _no_pictures(data: object, path: Path | None, side: int) -> UsageError:
    """Return the error of data, at a path if they are at one, that are neither a folder nor a zip of pictures."""
    if path is None and isinstance(data, str) and not is_name(data) and data not in registered("data"):
        near = similar(expanded(data)) or " Check the path."
        return UsageError(f'there is no folder or zip of pictures "{data}".{near}')
    return UsageError(
        f'--patches {side} is for folders and zips of pictures, not for "{data}". Give a folder, or leave it out.'
    )


def cut_into_patches(data: object, side: int, seed: int = 0, **options: Any) -> Source:  # noqa: ANN401
    """Open a folder or a zip of pictures as patches of a side; the options are those of `as_source`.

    Raises:
        UsageError: options that do not fit the data, or data that are no files.
        DataError: data that cannot be used as they are.
    """
    if options.get("size") is not None:
        raise UsageError(
            f"--patches {side} cuts squares out of pictures in their own sizes, so that --size {options['size']} "
            "has no effect. Give one of them."
        )
    check_request(None, options.get("channels"))
    path = path_of(data)
    with ExitStack() as opened:
        listing = None if path is None else listing_of(path, opened)
        if listing is None:
            raise _no_pictures(data, path, side)
        return open_patches(
            str(data),
            listing,
            side,
            options.get("channels"),
            options.get("max_rejected", 0.01),
            options.get("cache") or cache_folder(),
            seed,
            options.get("progress", True),
        )
