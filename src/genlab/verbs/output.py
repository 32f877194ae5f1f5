"""Where a verb writes pictures: a .png with all of them, or a folder with a PNG for each."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genlab.core.errors import UsageError
from genlab.verbs.options import File

if TYPE_CHECKING:
    from genlab.core.modality import Modality

TABLES = (".csv", ".npz")
OTHER_PICTURES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


class Output(NamedTuple):
    """A .png, or a folder, or neither."""

    png: Path | None
    folder: Path | None


def output_of(out: File | None) -> Output:
    """Return what `out` names.

    Raises:
        UsageError: another picture than a PNG, or a file that is no picture.
    """
    path = None if out is None else Path(out)
    suffix = path.suffix.lower() if path else ""
    if suffix in (*OTHER_PICTURES, *TABLES) or (path and suffix != ".png" and path.is_file()):
        raise UsageError(f"--out {path} must be a .png for a grid, or a folder for single PNGs")
    if path:
        refuse_unwritable(path)
    return Output(path, None) if suffix == ".png" else Output(None, path)


def refuse_unwritable(path: Path) -> None:
    """Refuse a path where nothing can be written, before anything is computed.

    Raises:
        UsageError: it lies below a file, or in a folder that may not be written.
    """
    there = next(each for each in path.absolute().parents if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "may not be written" if there.is_dir() else "is a file"
        raise UsageError(f"--out {path} cannot be written, because {there} {why}. Choose another place.")


def place_for(out: File | None, default: Path) -> Path:
    """Return the folder to write, beside which a .csv and a .png of its name belong.

    Args:
        out: the folder, if one is given.
        default: that of none, as a .png.

    Raises:
        UsageError: `out` is a file, or a folder with files that are not of this command, in it or beside it.
    """
    from genlab.core.files import refuse_filled

    given = default.with_suffix("") if out is None else Path(out)
    folder = None if given.suffix.lower() in (*OTHER_PICTURES, *TABLES) else output_of(given).folder
    if folder is None:
        raise UsageError(f"--out {given} must be a folder, in which each picture gets a PNG. Try {given.stem}.")
    if not folder.with_name(f"{folder.name}.csv.part").exists():
        refuse_filled(folder)
        for beside in (folder.with_name(f"{folder.name}.csv"), folder.with_name(f"{folder.name}.png")):
            if beside.exists():
                raise UsageError(f"{beside} exists, and would be written beside the folder. Choose another --out.")
    return folder


def as_rows(out: File | None, target: "Modality") -> bool:
    """Return whether examples are written as the rows of a .csv: by default those of a table are.

    Raises:
        UsageError: `out` is a .csv, but the examples are no rows of a table.
    """
    from genlab.core.table import Table

    if out is None:
        return isinstance(target, Table)
    rows = Path(out).suffix.lower() == ".csv"
    if rows and not isinstance(target, Table):
        raise UsageError(f"--out {out} is for rows of a table, but this model makes {target.noun}. Give a .png.")
    return rows


def refuse_source(out: Path | None, *given: object) -> None:
    """Refuse to write a file over one that is read, or over one in a folder that is read.

    Raises:
        UsageError: it is one of these files.
    """
    for path in (Path(each) for each in given if isinstance(each, str | os.PathLike)):
        if out and out.exists() and path.resolve() in (out.resolve(), *out.resolve().parents):
            raise UsageError(f"--out {out} is one of the files that are read. Choose another --out.")


def refuse_inside(out: File | None, option: str, *given: object) -> None:
    """Refuse to write into a folder that is read: the next command would read what this one has written.

    Raises:
        UsageError: `out` is one of `given`, or lies in one.
    """
    if out is None:
        return
    place = Path(out).resolve()
    for path in (Path(each) for each in given if isinstance(each, str | os.PathLike)):
        if path.is_dir() and path.resolve() in (place, *place.parents):
            raise UsageError(f"{option} {out} lies in {path}, which is read. Choose a place outside it.")


def refuse_too_many(number: int, shape: tuple[int, ...], noun: str, rows: int = 1) -> None:
    """Refuse a picture of so many examples that programs could not open it; each is shown `rows` times.

    Raises:
        UsageError: they are too many.
    """
    from genlab.core.pictures import most_in_grid

    most = max(1, most_in_grid(shape) // rows)
    if number > most:
        images = len(shape) == 3
        size = f" of {shape[1]}×{shape[2]} pixels" if images else ""
        way = " Give a folder for single images: --out FOLDER." if images else ""
        raise UsageError(f"one .png shows at most {most:,} {noun}{size}, not {number:,}.{way}")


def table_file(out: File | None, default: Path) -> Path:
    """Return the .csv or .npz that a verb writes.

    Raises:
        UsageError: `out` ends in something else.
    """
    path = default if out is None else Path(out)
    if path.suffix.lower() not in TABLES:
        raise UsageError(f"--out {path} must end in {' or '.join(TABLES)}.")
    refuse_unwritable(path)
    return path
