"""What the results of verbs share: their picture in a notebook, and what they say of files and sizes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from genlab.applications.rows import Table
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Rejected


class _HasPicture(Protocol):
    @property
    def picture(self) -> "Picture | None": ...


class Pictured:
    """A result that a notebook shows as its `picture`."""

    def _repr_png_(self: _HasPicture) -> bytes | None:
        from genlab.core.pictures import png

        picture = self.picture
        return None if picture is None else png(picture)


class InFolder(Pictured):
    """A result in a folder of pictures, with a .csv and a .png of the same name beside it."""

    path: Path

    @property
    def table_path(self) -> Path:
        """The .csv with a row for each picture."""
        return self.path.with_name(f"{self.path.name}.csv")

    @property
    def picture_path(self) -> Path:
        """The .png of the first pictures."""
        return self.path.with_name(f"{self.path.name}.png")

    @property
    def table(self) -> "Table":
        """The names of all pictures and what was measured of each, read from the .csv."""
        from genlab.applications.rows import read_table

        return read_table(self.table_path)


def reasons(rejected: "Iterable[Rejected]") -> dict[str, str]:
    """Return why files were rejected, by their paths."""
    return {item.path: item.reason for item in rejected}


def rejections(rejected: "Iterable[Rejected]") -> list[str]:
    """Return a line for each rejected file."""
    return [f"rejected  {item.path}: {item.reason}" for item in rejected]


def in_pixels(shape: Sequence[int]) -> str:
    """Return the size of pictures (C, H, W) in words."""
    channels, height, width = shape
    return f"{width}x{height} pixels{' in grey' if channels == 1 else ''}"


def squashed(count: int, shape: Sequence[int]) -> list[str]:
    """Return a line on the pictures that were squashed to the shape (C, H, W) of the model, if there are any."""
    size = in_pixels(shape) if count else ""
    return [f"squashed to the model's {size}, because their aspect ratio differs: {count}"] if count else []
