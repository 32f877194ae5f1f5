"""`genlab data`: what a source of data contains."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.text import listed
from genlab.verbs.options import File, SourceName
from genlab.verbs.using import png_file
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Source


@dataclass(frozen=True, eq=False)
class Described:
    """A source of data, what it contains, and where some of its examples were drawn."""

    source: "Source"
    description: Mapping[str, Any]
    path: Path

    @property
    def picture(self) -> "Picture":
        """Some training examples, the same ones each time."""
        import numpy as np

        data = self.source.train
        chosen = np.random.default_rng(0).permutation(len(data))[: data.spec.target.shown]
        return data.spec.target.draw(data.batch(chosen).x)

    def values(self) -> dict[str, Any]:
        """Return the description as plain values for JSON."""
        return {**self.description, "path": str(self.path)}

    def __repr__(self) -> str:
        return f"<Described {self.source!r} {self.path}>"

    def __str__(self) -> str:
        return f"{listed(self.description)}\n{self.path}"

    def _repr_png_(self) -> bytes:
        from genlab.core.pictures import png

        return png(self.picture)


@verb
def data(
    source: SourceName,
    *,
    size: int | None = None,
    channels: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 the word that users expect
    max_rejected: float = 0.01,
    out: File | None = None,
) -> Described:
    """Describe a data source and draw some of its images.

    Args:
        source: A folder, zip or .npz of images, or a name such as digits or fashion-mnist.
        size: Side of the images in pixels, after resizing and cropping.
        channels: 1 for grey, 3 for colour.
        range: Values of black and white in an .npz or .npy, such as 0 1. By default recognised if certain.
        max_rejected: Largest share of unusable files; with more the source is refused.
        out: The .png to write. By default data-NAME.png in the current folder.

    Returns:
        The opened source, its description and the path that was written.

    Raises:
        UsageError: there is no such source, size or number of channels, or `out` is not a .png.
        DataError: the data cannot be used.
    """
    from genlab.core.files import replace
    from genlab.core.pictures import png
    from genlab.data.describe import describe
    from genlab.data.objects import as_source

    name, given = os.fspath(source), png_file(out)
    opened = as_source(name, size=size, channels=channels, range=range, max_rejected=max_rejected)
    place = given or Path(f"data-{Path(name).stem}.png")
    described = Described(opened, describe(opened), place)
    replace(place, png(described.picture))
    return described
