"""Recognises the two sides of a translation, A and B, and the splits in the paths of files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from posixpath import splitext
from typing import NamedTuple
from unicodedata import normalize

from genlab.core.errors import DataError
from genlab.core.text import counted, printable
from genlab.data.decoding import COMPANIONS
from genlab.data.layout import HELD_OUT, TRAIN, are_splits, listed_folders

LETTERS = ("A", "B")
_LETTER = re.compile(rf"(?:({'|'.join(sorted(TRAIN | HELD_OUT))})[-_ ]?)?([ab])", re.IGNORECASE)
_FEW = 0.1  # the largest share of files beside the sides that are rejected for the sake of the sides
_NEXT = (
    "Give a folder or zip with the sub-folders A and B, or trainA, trainB, testA and testB; two folders, as "
    "--data TARGETS --source SOURCES; or pictures with both sides in each, as --side-by-side."
)

Parts = tuple[str, ...]  # of a path


class Place(NamedTuple):
    """Where a file belongs."""

    side: int  # 0 is A, 1 is B
    part: str  # "train", "test", "val", …, by its folder; "" without such folders
    name: str  # below those folders, without suffix and case: pairs have the same

    @property
    def held_out(self) -> bool:
        """Whether its folder is held out."""
        return self.part in HELD_OUT


class _Found(NamedTuple):
    """A place, and the folders that it was read from."""

    side: int
    part: str
    folders: Parts
    rest: Parts


@dataclass(frozen=True)
class Sides:
    """The two sides of a listing; files without a place lie beside them."""

    names: tuple[str, str]
    folders: tuple[str, str]  # of each side, in words
    places: Mapping[int, Place]  # by position
    how: str  # they were recognised, in words


def find_sides(source: str, paths: Sequence[str]) -> Sides:
    """Return the sides among the files of one folder or zip; a single folder around everything is ignored.

    They are the folders A and B, or trainA, trainB, testA and testB, or such folders within train and test, in any
    case; or, if there are exactly two folders, these in alphabetical order.

    Raises:
        DataError: there are no two sides, or something lies beside them.
    """
    pictures = _pictures(paths)
    files = _unwrapped(pictures, beside=True)
    if _lettered(files):
        names, found = LETTERS, _by_letters(source, files)
        how = "by the names of the folders"
    elif are_splits(_tops(files)):
        inner = {at: parts[1:] for at, parts in files.items() if len(parts) > 1}
        part = {at: (_part(parts[0]), parts[:1]) for at, parts in files.items()}
        names, within, how = _by_letters_or_two(source, inner)
        found = {
            at: _Found(its.side, part[at][0], (*part[at][1], *its.folders), its.rest) for at, its in within.items()
        }
    else:
        names, found, how = _by_letters_or_two(source, files)
    found = _with_inner_splits(found)
    _refuse_beside(source, pictures, found)
    _check(source, paths, found)
    return Sides(names, _folders(found), {at: _place(its) for at, its in found.items()}, how)


def say_sides(paths: Sequence[str]) -> bool:
    """Return whether the folders, below those of splits, are named as the two sides A and B and nothing else."""
    files = _unwrapped(_pictures(paths))
    if are_splits(_tops(files)) and not any(map(letter_of, _tops(files))):
        files = {at: parts[1:] for at, parts in files.items()}
    letters = [letter_of(top) for top in set(_tops(files))]
    return {place and place[0] for place in letters} == {0, 1}


def join_sides(names: tuple[str, str], paths: tuple[Sequence[str], Sequence[str]]) -> Sides:
    """Return the sides of two folders or zips, whose files are counted one after the other.

    Raises:
        DataError: a folder that holds both sides, or only one of the two has folders for splits.
    """
    found: dict[int, _Found] = {}
    for side, (name, its) in enumerate(zip(names, paths, strict=True)):
        files = _unwrapped(_pictures(its))
        if len({letter[-1:].casefold() for letter in _lettered(files)}) == len(LETTERS):
            raise DataError(
                f'"{name}" holds {listed_folders(_lettered(files))}, which are two sides already. Leave out '
                "--source, or give one of these folders."
            )
        start = len(paths[0]) * side
        found |= {start + at: _Found(side, "", (name,), parts) for at, parts in files.items()}
    found = _with_inner_splits(found)
    _check(" and ".join(names), (), found)
    return Sides(names, (names[0], names[1]), {at: _place(its) for at, its in found.items()}, "as given: --source")


def halves(paths: Sequence[str]) -> Sides:
    """Return the places of pictures that hold both sides, all as if they were A, with their whole names."""
    found = _with_inner_splits(
        {at: _Found(0, "", (), parts) for at, parts in _unwrapped(_pictures(paths)).items()}
    )
    places = {at: Place(0, its.part, "/".join(its.rest)) for at, its in found.items()}
    return Sides(LETTERS, ("left halves", "right halves"), places, "side by side: A is left, B is right")


def _pictures(paths: Sequence[str]) -> dict[int, Parts]:
    """Return the parts of the paths by position, without files that are not meant to be pictures."""
    suffixes = [splitext(path)[1].lower() for path in paths]
    return {at: tuple(path.split("/")) for at, path in enumerate(paths) if suffixes[at] not in COMPANIONS}


def _tops(files: Mapping[int, Parts]) -> list[str]:
    """Return the first folder of each file that lies in one."""
    return [parts[0] for parts in files.values() if len(parts) > 1]


def _unwrapped(files: dict[int, Parts], *, beside: bool = False) -> dict[int, Parts]:
    """Return the files without the folders around all; with `beside`, around all but some at the top."""
    while len(tops := set(_tops(files))) == 1 and not any(map(letter_of, tops)):
        inner = {at: parts[1:] for at, parts in files.items() if len(parts) > 1}
        if len(inner) < len(files) and not beside:
            return files
        files = inner
    return files


def _lettered(files: Mapping[int, Parts]) -> list[str]:
    """Return the folders whose names say that they are A or B."""
    return sorted(top for top in set(_tops(files)) if letter_of(top))


def letter_of(name: str) -> tuple[int, str] | None:
    """Return the side and the split that a name such as A or trainB gives; None for other names."""
    match = _LETTER.fullmatch(name)
    return None if match is None else (LETTERS.index(match[2].upper()), _part(match[1] or ""))


def _by_letters(source: str, files: Mapping[int, Parts]) -> dict[int, _Found]:
    places: dict[str, tuple[int, str]] = {}
    for top in _lettered(files):
        place = letter_of(top)
        assert place is not None
        if place in places.values():
            other = next(folder for folder, its in places.items() if its == place)
            raise DataError(f'"{source}": {other}/ and {top}/ are the same side. Merge them, or rename one.')
        places[top] = place
    return {
        at: _Found(*places[parts[0]], parts[:1], parts[1:])
        for at, parts in files.items()
        if len(parts) > 1 and parts[0] in places
    }


def _by_letters_or_two(source: str, files: Mapping[int, Parts]) -> tuple[tuple[str, str], dict[int, _Found], str]:
    """Return the names of the sides, the place of each file, and how they were recognised."""
    if _lettered(files):
        return LETTERS, _by_letters(source, files), "by the names of the folders"
    tops = sorted(set(_tops(files)), key=lambda top: (top.casefold(), top))
    if len(tops) != len(LETTERS) or any(top.casefold() in TRAIN | HELD_OUT for top in tops):
        seen = f"the folders {listed_folders(tops)}" if tops else "no sub-folders with pictures"
        raise DataError(f'"{source}" has no two sides to translate between: it has {seen}. {_NEXT}')
    found = {
        at: _Found(tops.index(parts[0]), "", parts[:1], parts[1:]) for at, parts in files.items() if len(parts) > 1
    }
    one, two = map(printable, tops)
    return (one, two), found, f"the only two folders, in alphabetical order: A is {one}/, B is {two}/"


def _with_inner_splits(found: dict[int, _Found]) -> dict[int, _Found]:
    """Return the places with the splits that lie within the sides, such as A/train and B/train."""
    if any(its.part for its in found.values()):
        return found
    inner = [its.rest[0] if len(its.rest) > 1 else "" for its in found.values()]
    if not are_splits(inner):
        return found
    return {
        at: _Found(its.side, _part(its.rest[0]), (*its.folders, its.rest[0]), its.rest[1:])
        for at, its in found.items()
    }


def _part(word: str) -> str:
    """Return the name of a split by the word in the name of its folder."""
    return "train" if word.casefold() in TRAIN else word.casefold()


def _place(found: _Found) -> Place:
    stem = splitext("/".join(found.rest))[0]
    return Place(found.side, found.part, normalize("NFC", stem).casefold())  # some systems write é as e and ´


def _folders(found: Mapping[int, _Found]) -> tuple[str, str]:
    def words(side: int) -> str:
        every = {(its.part in HELD_OUT, "/".join(its.folders)) for its in found.values() if its.side == side}
        return " and ".join(f"{printable(folder)}/" for _, folder in sorted(every))

    return words(0), words(1)


def _refuse_beside(source: str, pictures: Mapping[int, Parts], found: Mapping[int, _Found]) -> None:
    beside = [parts for at, parts in pictures.items() if at not in found]
    if len(beside) > max(1, int(_FEW * len(pictures))):
        where = sorted({"/".join(parts[:-1]) for parts in beside} - {""})
        places = f", in {listed_folders(where)}" if where else ""
        raise DataError(
            f'"{source}": {counted(len(beside), "file")} beside the folders {" and ".join(_folders(found))}'
            f"{places}. Move them into these folders or away."
        )


def _check(source: str, paths: Iterable[str], found: Mapping[int, _Found]) -> None:
    """Raise DataError unless each part has both sides and there is one to train on."""
    parts = {its.part for its in found.values()}
    here = {(its.part, its.side): "/".join(its.folders) for its in found.values()}
    for part in sorted(parts):
        for side in range(2):
            if (part, side) in here:
                continue
            other = here[part, 1 - side]
            name = other[:-1] + LETTERS[side] if letter_of(other.rpartition("/")[2]) else "the other folder"
            files = {path.rpartition("/")[2].casefold() for path in paths}
            why = "is a file, not a folder" if name.casefold() in files else "is missing or holds no pictures"
            raise DataError(f'"{source}" has {other}/, but its other side {name} {why}. {_NEXT}')
    if "" in parts and len(parts) > 1:
        mixed = listed_folders(sorted(set(here.values())))
        raise DataError(
            f'"{source}" has {mixed}: name the folders A and B that are for training trainA and trainB.'
        )
    if parts and parts <= HELD_OUT:
        raise DataError(
            f'"{source}" has only {listed_folders(sorted(set(here.values())))}: there is nothing to train on. Add '
            "trainA/ and trainB/, or rename these folders A/ and B/."
        )
