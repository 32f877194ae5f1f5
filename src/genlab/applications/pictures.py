"""Evaluates a set of pictures, from any program, against real ones."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from genlab.applications.evaluate import Request
from genlab.applications.measurement import Measurement
from genlab.applications.measures import evaluate_sets
from genlab.core import device as devices
from genlab.core.distributed import process_group, rank0_first
from genlab.core.errors import UsageError
from genlab.core.parts import registered
from genlab.data.dataset import Dataset, Source, joined
from genlab.data.fit import LEAST, MOST, Whole
from genlab.data.native import Sizes, native_sizes, not_square
from genlab.data.objects import as_source
from genlab.data.source import takes_range
from genlab.recipes.fields import flag
from genlab.runs.extractors import find_extractor


@dataclass(frozen=True)
class _Set:
    """One of the two sets: its name, and the sizes and the range of its pictures if these are known."""

    name: str
    sizes: Sizes | None
    range: tuple[float, float] | None

    def open(self, to: Whole | None, channels: int | None, max_rejected: float, *, progress: bool) -> Source:
        """Return the source, its pictures resized whole."""
        # Square pictures are the same whole; and a named source may pad them instead, as in training.
        square = to is not None and to.height == to.width and not not_square(self.sizes)
        known = self.sizes is not None or self.name not in registered("data")
        return rank0_first(
            partial(
                as_source,
                self.name,
                size=to.height if to and square and known else to,
                channels=channels,
                range=self.range,
                max_rejected=max_rejected,
                progress=progress,
            )
        )

    def resized(self, to: Whole) -> bool:
        """Whether pictures of another size than `to` are known to be among them."""
        return self.sizes is not None and set(self.sizes) != {tuple(to)}


def evaluate_pictures(
    real: str,
    fake: str,
    request: Request,
    device: str = "auto",
    *,
    size: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 the word that users expect
    max_rejected: float = 0.01,
    progress: bool = True,
) -> Measurement:
    """Compare a source of generated pictures with a source of real ones.

    The extractor gets whole pictures, whatever their aspect ratio, as other programs do. Generated ones come
    as they are, unless a side has less than 8 or more than 512 pixels; real ones are first resized to their size.

    Args:
        real: a source as in training.
        fake: a source.
        request: its extractor, samples, split and resize are used; without `samples` all pictures are.
        device: where to compute.
        size: side of the squares to which the pictures of both sets are resized before the extractor.
        range: the values of black and white in those of both that are an `.npz` or `.npy`.
        max_rejected: the largest share of files that may be damaged.
        progress: show progress bars on a terminal.

    Raises:
        UsageError: generated pictures of several sizes without `size`, or options of sampling.
        GenlabError: too few images, or damaged files.
    """
    for name in request.sampling:
        raise UsageError(f"{flag(name)} is an option for runs, not for pictures")
    with process_group(devices.find_device(device)) as shard:
        progress = progress and shard.rank == 0
        if range and not any(map(takes_range, (real, fake))):
            raise UsageError("--range is for an .npz or .npy, and neither --real nor --fake is one. Leave it out.")
        sets = [_Set(name, native_sizes(name), range if takes_range(name) else None) for name in (real, fake)]
        return _evaluate(sets, request, device, size, max_rejected, progress=progress)


def _evaluate(
    sets: Sequence[_Set], request: Request, device: str, size: int | None, max_rejected: float, *, progress: bool
) -> Measurement:
    began = time.monotonic()
    to = _common(sets[1], size)
    ours = sets[1].open(to, None, max_rejected, progress=progress)
    channels, *sides = ours.train.spec.target.shape
    to = Whole(*sides) if len(sides) == 2 else None
    theirs = sets[0].open(to, None, max_rejected, progress=progress)
    most = max(theirs.train.spec.target.shape[0], channels)
    if to and {channels, theirs.train.spec.target.shape[0]} != {most}:  # both in colour if one is
        theirs, ours = (each.open(to, most, max_rejected, progress=progress) for each in sets)
    split = request.split or "all"
    chosen = {"held-out": theirs.held_out, "train": theirs.train}.get(split) or _whole(theirs)
    extractor = find_extractor(
        request.extractor, devices.find_device(device), theirs, resize=request.resize, progress=progress
    )
    given = sets[0].range or sets[1].range
    ranged = {"range": "{:g} to {:g}".format(*given)} if given else {}
    stamp = {"split": split, "data": chosen.fingerprint[:12], **(_protocol(sets, to) if to else {}), **ranged}
    figures = evaluate_sets(
        chosen,
        _whole(ours),
        extractor,
        request.samples,
        stamp,
        as_made=to is None or not sets[1].resized(to),
        remarks=_remarks(sets, to) if to else (),
        progress=progress,
    )
    return Measurement(f"{sets[1].name} compared with {sets[0].name}", figures, time.monotonic() - began)


def _whole(source: Source) -> Dataset:
    return joined(source.train, source.held_out)


def _common(fake: _Set, size: int | None) -> Whole | None:
    """Return the size that the pictures of both sets get before the extractor; None if that of `fake` is unknown.

    Raises:
        UsageError: the pictures have several sizes, and no `size` is given.
    """
    if size is not None:
        return Whole(size, size)
    if fake.sizes is None:
        return None
    if len(fake.sizes) > 1:
        least = max(min(min(sides) for sides in fake.sizes), LEAST)
        raise UsageError(
            f"the pictures of {fake.name} have {_written(fake.sizes)}, and resizing would affect the figures. "
            f"Choose the side of one square for all: --size {min(least, MOST)}."
        )
    ((height, width),) = fake.sizes
    scale = min(1, MOST / max(height, width))
    return Whole(*(max(round(scale * side), LEAST) for side in (height, width)))


def _protocol(sets: Sequence[_Set], to: Whole) -> Mapping[str, str]:
    """Return the sizes of the pictures of both sets, and which were resized before the extractor."""
    titles = ("real", "fake")
    native = [f"{title} {_written(each.sizes)}" for title, each in zip(titles, sets, strict=True)]
    changed = " and ".join(title for title, each in zip(titles, sets, strict=True) if each.resized(to))
    fitted = f"{changed} to {to.width}×{to.height} px, uncropped" if changed else "none"
    return {"native": ", ".join(native), "resized_before": fitted}


def _remarks(sets: Sequence[_Set], to: Whole) -> list[str]:
    """Return what was done to pictures that are not square, and to generated ones that were resized."""
    remarks = []
    for title, each in zip(("real", "generated"), sets, strict=True):
        if each.sizes and (count := not_square(each.sizes)):
            every = sum(each.sizes.values())
            remarks.append(f"{count:,} of {every:,} {title} pictures are not square: squashed, not cropped")
    if sets[1].resized(to):
        size = f"{to.width}×{to.height}"
        remarks.append(f"generated pictures were resized to {size} before the extractor, so this is not an FID")
    return remarks


def _written(sizes: Sizes | None) -> str:
    if sizes is None:
        return "as stored"
    (low, wide), (high, tall) = min(sizes), max(sizes)
    least, most = f"{wide}×{low}", f"{tall}×{high}"
    return f"{least} px" if len(sizes) == 1 else f"{len(sizes)} sizes from {least} to {most} px"
