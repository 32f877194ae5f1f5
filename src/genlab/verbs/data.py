"""`genlab data`: what a source of data contains."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.errors import UsageError
from genlab.core.reading import Direction, Pairs
from genlab.core.text import listed
from genlab.verbs.options import File, SourceName
from genlab.verbs.result import Pictured
from genlab.verbs.using import png_file
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.core.pictures import Picture
    from genlab.data.dataset import Source


@dataclass(frozen=True, eq=False)
class Described(Pictured):
    """A source of data, what it contains, and where some of its examples were drawn."""

    source: "Source"
    description: Mapping[str, Any]
    path: Path
    warnings: Sequence[str] = ()
    """What may be wrong with two sides."""

    @property
    def picture(self) -> "Picture":
        """Some training examples, the same ones each time; of pairs each source left of its target."""
        from genlab.data.describe import drawn

        return drawn(self.source.train)

    def values(self) -> dict[str, Any]:
        """Return the description as plain values for JSON."""
        return {**self.description, "warnings": list(self.warnings), "path": str(self.path)}

    def __repr__(self) -> str:
        return f"<Described {self.source!r} {self.path}>"

    def __str__(self) -> str:
        warned = [f"warning: {text}" for text in self.warnings]
        return "\n".join([listed(self.description), *warned, str(self.path)])


@verb
def data(
    source: SourceName,
    other: SourceName = None,
    *,
    pairs: Pairs = "auto",
    side_by_side: bool = False,
    direction: Direction = "a-to-b",
    size: int | None = None,
    channels: int | None = None,
    patches: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 the word that users expect
    max_rejected: float = 0.01,
    label: str | None = None,
    ignore: Sequence[str] | None = None,
    out: File | None = None,
) -> Described:
    """Describe a data source and draw some of its images; of two sides to translate, look for what is wrong.

    Args:
        source: A folder, zip or .npz of images, a table (.csv), or a name such as digits; also with two sides.
        other: The targets, if SOURCE holds only the sources of a translation.
        pairs: Whether each source belongs to the target with the same file name: aligned or unaligned; auto is
            aligned if at least half of the names are on both sides.
        side_by_side: Split each image into its left half, A, and its right half, B.
        direction: Which side is translated into the other.
        size: Side of the images in pixels, after resizing and cropping.
        channels: 1 for grey, 3 for colour.
        patches: Show squares of this side in pixels, cut out of the pictures in their own sizes, as genlab train
            --patches does.
        range: Values of black and white in an .npz or .npy, such as 0 1. By default recognised if certain.
        max_rejected: Largest share of unusable files or rows; with more the source is refused.
        label: Column of a table with the labels, which are not trained on.
        ignore: Columns of a table to leave out.
        out: The .png to write. By default data-NAME.png in the current folder.

    Returns:
        The opened source, its description, warnings about its sides, and the path that was written.

    Raises:
        UsageError: there is no such source, size or number of channels, options that do not go together, or `out`
            is not a .png.
        DataError: the data cannot be used.
    """
    from genlab.core.files import replace
    from genlab.core.pictures import png
    from genlab.data.describe import describe, describe_sides
    from genlab.data.pair_checks import side_warnings
    from genlab.data.translation import open_described

    name, given = os.fspath(source), png_file(out)
    if patches is not None:
        unfit = {"a second source": other, "--side-by-side": side_by_side, "--range": range, "--label": label}
        unfit |= {"--ignore": ignore, "--pairs": pairs != "auto", "--direction": direction != "a-to-b"}
        return _patches(name, patches, unfit, given, size=size, channels=channels, max_rejected=max_rejected)
    whole, sources = (name, None) if other is None else (os.fspath(other), name)
    opened, sides = open_described(
        whole,
        source=sources,
        pairs=pairs,
        side_by_side=side_by_side,
        direction=direction,
        size=size,
        channels=channels,
        range=range,
        max_rejected=max_rejected,
        label=label,
        ignore=ignore or (),
    )
    place = given or Path(f"data-{Path(name).stem}.png")
    if sides is None:
        described = Described(opened, describe(opened), place)
    else:
        warnings = side_warnings(sides, aligned=opened.train.spec.aligned)
        described = Described(opened, describe_sides(opened, sides), place, warnings)
    replace(place, png(described.picture))
    return described


def _patches(
    name: str,
    side: int,
    unfit: Mapping[str, object],
    given: Path | None,
    **options: Any,  # noqa: ANN401 (options of `as_source`)
) -> Described:
    """Describe a folder or a zip of pictures as patches of a side.

    Raises:
        UsageError: one of the options that do not fit was given.
    """
    from genlab.core.files import replace
    from genlab.core.pictures import png
    from genlab.data.describe import describe
    from genlab.data.restoration import cut_into_patches

    for what, value in unfit.items():
        if value:
            raise UsageError(
                f"--patches {side} is for one folder or zip of pictures, not for {what}. Leave one out."
            )
    opened = cut_into_patches(name, side, **options)
    accepted = opened.total - len(opened.rejected)  # of the pictures, which have several patches each
    place = given or Path(f"data-{Path(name).stem}-patches-{side}.png")
    described = Described(opened, {**describe(opened), "accepted": accepted}, place)
    replace(place, png(described.picture))
    return described
