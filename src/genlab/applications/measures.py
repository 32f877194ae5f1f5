"""Computes all figures of a model, or of a set of generated pictures compared with real ones."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from genlab.applications.evaluators import (
    LIKENESS_IMAGES,
    Subject,
    has_windows,
    likeness_of_pairs,
    shape_of,
)
from genlab.applications.own import METRICS
from genlab.core.errors import GenlabError, UsageError
from genlab.data.dataset import Split, chunks
from genlab.metrics import similarity
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
    progress: bool = False,
) -> list[Figure]:
    """Return the figures of generated pictures compared with real ones.

    Raises:
        GenlabError: too few images, or images of different shapes.
    """
    ours, theirs = fake.spec.target, real.spec.target
    if ours.shape != theirs.shape:
        raise UsageError(f"{real.name} has {theirs.noun} of {theirs.shape}, {fake.name} of {ours.shape}")
    of_real, of_fake = (real_statistics(each, extractor, samples, progress=progress) for each in (real, fake))
    protocol = {"images": shape_of(theirs), **stamp, "genlab": __version__}
    figures = compare(of_real, of_fake, extractor, protocol)
    equal = _equal(real, fake)
    if equal:
        warning = f"{equal:,} of {len(fake):,} generated images are equal to real ones"
        figures = [
            Figure(f.name, f.value, f.error, f.better, f.protocol, _joined(f.note, warning)) for f in figures
        ]
    if has_windows(theirs):
        some = (each.batch(random_rows(len(each), LIKENESS_IMAGES)).x for each in (fake, real))
        figures.append(likeness_of_pairs(*map(similarity.likeness, some), protocol=protocol))
    return figures


def _equal(real: Split, fake: Split) -> int:
    """Return how many images of `fake` are equal, byte by byte, to an image of `real`."""
    known = set(_digests(real))
    return sum(digest in known for digest in _digests(fake))


def _digests(data: Split) -> Iterator[bytes]:
    for images in chunks(data.values):
        yield from (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
