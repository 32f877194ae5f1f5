"""Computes all figures of a model, or of a set of generated pictures compared with real ones."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from genlab.applications.evaluators import images_in_pairs, likeness_of_pairs
from genlab.applications.own import METRICS
from genlab.applications.subject import Subject, has_windows, shape_of
from genlab.core.errors import GenlabError, UsageError
from genlab.data.dataset import Split, chunks
from genlab.metrics.extractors.extractor import Extractor
from genlab.metrics.figures import Figure
from genlab.metrics.sets import compare
from genlab.runs.statistics import random_rows, real_statistics
from genlab.version import __version__


def evaluate_model(subject: Subject) -> list[Figure]:
    """Return the figures of all rows of `METRICS` that fit the model's capabilities.

    Raises:
        GenlabError: too few images, or a model with no capability that is measured.
    """
    figures = [f for row in METRICS.values() if row.fits(subject.model) for f in row.measure(subject)]
    if not figures:
        raise GenlabError(f"there is no measure for what this {type(subject.model).__name__} can do")
    return figures


def evaluate_sets(
    real: Split,
    fake: Split,
    extractor: Extractor,
    samples: int | None,
    stamp: Mapping[str, Any],
    *,
    as_made: bool = True,
    remarks: Sequence[str] = (),
    progress: bool = False,
) -> list[Figure]:
    """Return the figures of generated pictures compared with real ones.

    Args:
        real: all of them, or as many as `samples`, count.
        fake: likewise.
        extractor: of the features.
        samples: most images of a set; None for all.
        stamp: what the protocol of each figure says.
        as_made: whether the extractor gets the generated pictures in the size that they were made in. Else no
            figure is called FID.
        remarks: notes on the first figure.
        progress: show progress bars on a terminal.

    Raises:
        GenlabError: too few images, or images of different shapes.
    """
    ours, theirs = fake.spec.target, real.spec.target
    if ours.shape != theirs.shape:
        raise UsageError(f"{real.name} has {theirs.noun} of {theirs.shape}, {fake.name} of {ours.shape}")
    of_real, of_fake = (real_statistics(each, extractor, samples, progress=progress) for each in (real, fake))
    protocol = {"images": shape_of(theirs), **stamp, "genlab": __version__}
    figures = compare(of_real, of_fake, extractor, protocol, as_made=as_made)
    remarks = [*remarks, *_left_out(real, fake, samples)]
    figures[0] = _noted(figures[0], *remarks)
    equal = _equal(real, fake)
    if equal:
        warning = f"{equal:,} of {len(fake):,} generated images are equal to real ones"
        figures = [_noted(figure, warning) for figure in figures]
    if has_windows(theirs):
        count = images_in_pairs(theirs)
        some, others = (each.batch(random_rows(len(each), count)).x for each in (fake, real))
        figures.append(likeness_of_pairs(some, others, protocol))
    return figures


def _equal(real: Split, fake: Split) -> int:
    """Return how many images of `fake` are equal, byte by byte, to an image of `real`."""
    known = set(_digests(real))
    return sum(digest in known for digest in _digests(fake))


def _digests(data: Split) -> Iterator[bytes]:
    for images in chunks(data.values):
        yield from (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)


def _left_out(real: Split, fake: Split, samples: int | None) -> Iterator[str]:
    """Yield a remark on each set of which not all pictures count."""
    for title, data in (("real", real), ("generated", fake)):
        if samples is not None and samples < len(data):
            yield f"{samples:,} of {len(data):,} {title} pictures, as --samples says"


def _noted(figure: Figure, *notes: str) -> Figure:
    """Return a figure with more notes."""
    return replace(figure, note="; ".join(note for note in (figure.note, *notes) if note))
