"""Opens a source of data: a folder, a zip, an .npz, IDX files, or a name."""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from genlab.core.errors import UsageError, suggestion
from genlab.core.files import expanded
from genlab.core.parts import registered
from genlab.core.text import SHOWN, short
from genlab.data.archive import list_zip
from genlab.data.cache import cache_folder
from genlab.data.dataset import Source
from genlab.data.fit import Size, check_request
from genlab.data.idx import holds_idx, open_idx
from genlab.data.listing import list_folder
from genlab.data.named import NAMED, PAIRED_DIGITS, open_digits, open_named, open_paired_digits
from genlab.data.npz import open_npz
from genlab.data.pictures import open_pictures
from genlab.data.tables import open_table
from genlab.data.tables_files import is_table
from genlab.data.toys import TOYS, open_toy

PATH_SHOWN = 200  # characters of a path in messages
NAMES = ("digits", PAIRED_DIGITS, *NAMED, *TOYS)
ARRAYS = (".npz", ".npy")  # files that take a range


def open_source(
    source: str,
    *,
    size: Size | None = None,
    channels: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 the word that users expect
    max_rejected: float = 0.01,
    label: str | None = None,
    ignore: Sequence[str] = (),
    cache: Path | None = None,
    progress: bool = True,
) -> Source:
    """Open a folder or a zip of pictures, an `.npz` or `.npy`, a table, a folder of IDX files, or a name.

    Args:
        source: a path or one of `NAMES`; `mnist:FOLDER` gives the folder of its IDX files. A name takes precedence
            over a folder of the same name; `./digits` is the folder.
        size: the shorter side after resizing in pixels, 8 to 512; None takes 32 for small pictures and 64 for
            others.
        channels: 1 (grey) or 3 (colour); None takes 1 if all pictures are stored in grey.
        range: the values of black and white in an `.npz` or `.npy`; None recognises bytes, and floats that nearly
            reach both ends of [0, 1] or [-1, 1].
        max_rejected: the largest share of the files, or of the rows of a table, that may be damaged.
        label: the column of a table with the labels, which are not trained on.
        ignore: columns of a table to leave out.
        cache: the folder of decoded pictures and downloads; None takes `cache_folder()`.
        progress: show progress bars on a terminal.

    Raises:
        UsageError: an unknown name, a missing path, or a size, number of channels or range that does not fit.
        DataError: a source that cannot be used as it is.
    """
    check_request(size, channels)
    if range is not None and not takes_range(source) and not is_table(expanded(source)):
        raise UsageError(
            f'"{short(source, PATH_SHOWN)}" takes no range: only the numbers of an .npz or .npy do. Leave it out.'
        )
    cache = cache or cache_folder()
    if source not in NAMES and is_table(expanded(source)):
        if size or channels or range is not None:
            raise UsageError(f'"{short(source, PATH_SHOWN)}" is a table: it takes no size, channels or range.')
        return open_table(source, expanded(source), label, ignore, max_rejected, cache, progress)
    if label is not None or ignore:
        raise UsageError(
            f'"{short(source, PATH_SHOWN)}" is no table: --label and --ignore name columns of tables.'
        )
    name, _, folder = source.partition(":")
    if source in TOYS:
        if size or channels:
            raise UsageError(f'"{source}" holds points, not pictures: it takes no size or channels.')
        return open_toy(source)
    if source == "digits":
        return open_digits(size, channels)
    if source == PAIRED_DIGITS:
        return open_paired_digits(size, channels)
    if name in NAMED:
        return open_named(name, expanded(folder) if folder else None, size, channels, cache, progress)
    path = expanded(source)
    if not _exists(path):
        raise UsageError(_unknown(source, path))
    if path.is_dir():
        if holds_idx(path):
            return open_idx(source, path, size, channels, cache)
        return open_pictures(source, list_folder(path), size, channels, max_rejected, cache, progress)
    if path.suffix in ARRAYS and path.is_file():
        return open_npz(source, path, size, channels, cache, range)
    if path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path)):
        with list_zip(path) as listing:
            return open_pictures(source, listing, size, channels, max_rejected, cache, progress)
    raise UsageError(f'"{source}" is neither a folder nor a .zip, .npz, .npy, .csv or .parquet. {_what(NAMES)}')


def takes_range(source: str) -> bool:
    """Return whether a source holds numbers for which a range can be given."""
    return source in registered("data") or (source not in NAMES and Path(source).suffix in ARRAYS)


def is_name(source: str) -> bool:
    """Return whether a source is one of `NAMES`, with or without the folder of its files."""
    name, _, folder = source.partition(":")
    return source in NAMES or (name in NAMED and bool(folder))


def locate(source: str) -> str:
    """Return `source` with its path made absolute, so that it is valid from any working directory."""
    name, _, folder = source.partition(":")
    if source in NAMES or source in registered("data"):
        return source
    if name in NAMED and folder:
        return f"{name}:{expanded(folder).resolve()}"
    path = expanded(source)
    return str(path.resolve()) if _exists(path) else source


def is_gone(source: str) -> bool:
    """Return whether a source that `locate` made absolute is no longer there."""
    return Path(source).is_absolute() and not _exists(Path(source))


def _exists(path: Path) -> bool:
    """Return whether there is something at `path`; no system has a path of any length and with any characters."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _unknown(source: str, path: Path) -> str:
    """Return the error for an unknown source."""
    meant = similar(path, (*NAMES, *registered("data")))
    return f'no source "{short(source, PATH_SHOWN)}".{meant} {_what(NAMES)}'


def similar(path: Path, names: Iterable[str] = ()) -> str:
    """Return ` Did you mean "…"?` with the nearest name or sibling of the first missing folder of a path."""
    missing = path
    while not (_exists(missing.parent) and missing.parent.is_dir()):
        missing = missing.parent
    near = {item.name: str(item) for item in missing.parent.iterdir() if not item.name.startswith(".")}
    near |= {name: name for name in names}
    # Only the last part is compared: whole paths are similar because of the folder that they share.
    return suggestion(missing.name[:SHOWN], near, near.__getitem__)


def _what(names: Iterable[str]) -> str:
    return f"Give a folder or a zip of pictures, an .npz, .npy, .csv or .parquet, or a name: {', '.join(names)}."
