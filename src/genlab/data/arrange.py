"""Decides the label and the split of each picture of a listing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genlab.data.given_labels import FILE, given_labels
from genlab.data.layout import Layout, lay_out, strays
from genlab.data.listing import Listing

STRAY = "lies beside the folders of classes or splits, so it has no class or split"
BESIDE = "lies beside the folders of the two sides"


def _all_placed(at: Sequence[int]) -> Sequence[int]:
    """Return that no picture is without a place."""
    return at[:0]


@dataclass(frozen=True)
class Arrange:
    """How labels and splits are found; pictures are given by their positions in the listing."""

    lay_out: Callable[[Sequence[int]], Layout]  # of those that were decoded
    key: str  # what it depends on besides the listing
    unplaced: Callable[[Sequence[int]], Sequence[int]] = _all_placed  # those of the given ones without a place
    why: str = ""  # they have none


def by_folders(listing: Listing) -> Arrange:
    """Return the arrangement that the folders of a listing give, or its `dataset.json`.

    Raises:
        DataError: a damaged `dataset.json`.
    """
    given = given_labels(listing)
    lay, unplaced = (given.lay_out, given.missing) if given else (lay_out, strays)

    def paths(at: Sequence[int]) -> list[str]:
        return [listing.entries[position].path for position in at]

    return Arrange(
        lambda at: lay(paths(at)),
        "",
        lambda at: [at[place] for place in unplaced(paths(at))],
        f"has no label in {FILE}" if given else STRAY,
    )
