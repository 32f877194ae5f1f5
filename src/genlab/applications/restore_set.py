"""Measures a model that restores pictures on whole pictures, which are degraded as those of its training."""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genlab.applications.restorations import Restored, figures_of
from genlab.applications.restore import ByModel, as_images
from genlab.core.errors import UsageError
from genlab.core.files import expanded
from genlab.core.parts import registered
from genlab.core.pictures import Picture, resized
from genlab.core.random import Draws, generator
from genlab.data.archive import list_zip
from genlab.data.dataset import Rejected
from genlab.data.decode import decode, reason, strict
from genlab.data.degradations import Chain, chain
from genlab.data.listing import Entry, Listing, list_folder
from genlab.data.progress import bar
from genlab.data.read import unreadable
from genlab.data.source import is_name
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.figures import Figure
from genlab.metrics.restoration import border_of
from genlab.recipes.recipe import Recipe
from genlab.runs.statistics import random_rows


class Pictures(NamedTuple):
    """A folder, a zip or a file of pictures."""

    path: Path
    listing: Listing


def restores_pictures(recipe: Recipe, data: str | None) -> bool:
    """Whether data are pictures that models of a recipe restore whole, which it degrades."""
    if data is None or is_name(data) or data in registered("data") or not recipe.degradations:
        return False
    return chain(recipe.degradations).holes is None


@contextmanager
def pictures_at(path: Path) -> Iterator[Pictures]:
    """Yield the pictures at a path.

    Raises:
        UsageError: there is nothing.
        DataError: a zip that is not intact.
    """
    place = expanded(path)
    if not place.exists():
        raise UsageError(f"there is no picture, folder or zip {path}. --data names pictures to restore.")
    if place.is_file() and zipfile.is_zipfile(place):
        with list_zip(place) as listing:
            yield Pictures(place, listing)
    elif place.is_dir():
        yield Pictures(place, list_folder(place))
    else:
        yield Pictures(place, Listing(str(place.parent), [Entry(place.name, ())], [], lambda _: place.open("rb")))


@dataclass
class PictureSet:
    """Pictures that are degraded and restored one after the other.

    Args:
        listing: the pictures.
        by: what restores them.
        chain: how they are degraded.
        most: how many pictures are measured at most, chosen at random; None for all.
        seed: of the degradations.
        progress: whether to show a progress bar.
    """

    listing: Listing
    by: ByModel
    chain: Chain
    most: int | None
    seed: int
    progress: bool
    rejected: list[Rejected] = field(default_factory=list, init=False)
    count: int = field(default=0, init=False)
    digest: Any = field(default_factory=hashlib.sha256, init=False)  # of the pixels of all originals

    def __post_init__(self) -> None:
        if self.chain.scale != self.by.scale:
            raise UsageError(
                f"this model enlarges pictures {self.by.scale} times, but --degrade of its run reduces them by "
                f"{self.chain.scale}: its sources were made by somebody else. Use genlab upscale with --truth."
            )

    def __iter__(self) -> Iterator[Restored]:
        """Yield each picture restored, the degraded one, enlarged, and the original."""
        self.rejected += self.listing.rejected
        with bar(self.progress) as shown:
            task = shown.add_task("restoring", total=len(self.listing.entries))
            for at in np.sort(random_rows(len(self.listing.entries), self.most)).tolist():
                truth = self._opened(at)
                if truth is not None:
                    yield self._restored(truth, self.listing.entries[at].path)
                shown.update(task, advance=1)

    def _opened(self, at: int) -> Picture | None:
        """Return a picture, cut to a multiple of the scale; None if it is none, or too small to be measured."""
        name = self.listing.entries[at].path
        try:
            with strict(), self.listing.open(at) as file:
                pixels = decode(file, None, self.by.channels).array
        except Exception as error:  # for damaged files Pillow's plugins raise almost any type
            self.rejected.append(Rejected(name, reason(error)))
            return None
        scale = self.by.scale
        height, width = (side // scale * scale for side in pixels.shape[1:])
        if min(height, width) <= 2 * border_of(scale):
            size = f"{pixels.shape[2]}x{pixels.shape[1]} pixels"
            self.rejected.append(Rejected(name, f"too small to be measured: {size}"))
            return None
        return np.ascontiguousarray(np.moveaxis(pixels[:, :height, :width], 0, 2))

    def _restored(self, truth: Picture, name: str) -> Restored:
        self.count += 1
        self.digest.update(str(truth.shape).encode() + truth.tobytes())
        given = self.chain.degraded(truth, Draws(generator(self.seed, "degradation", name), 1))
        pictures = self.by(given), resized(given, *truth.shape[:2]), truth
        return Restored(*(as_images(picture) for picture in pictures))


def restored_figures(
    given: PictureSet, extractor: Extractor | None, place: Path, protocol: Mapping[str, Any]
) -> list[Figure]:
    """Return the figures of a set of pictures at a place.

    Raises:
        DataError: none of them could be measured.
    """
    found = list(figures_of(given, extractor, given.by.scale, protocol))
    if not found:
        raise unreadable(place, given.rejected)
    cut = {"cut": f"to multiples of {given.by.scale} px"} if given.by.scale > 1 else {}
    stamp = {"pictures": given.count, "data": given.digest.hexdigest()[:12], **cut}
    out = [f"{item.path}: {item.reason}" for item in given.rejected]
    notes = [f"not measured: {'; '.join(out)}"] if out else []
    figures = [replace(figure, protocol={**figure.protocol, **stamp}) for figure in found]
    return [replace(figures[0], note="; ".join([figures[0].note, *notes])), *figures[1:]]
