"""What is measured, and what all figures of it share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from genlab.core.condition import required_conditions
from genlab.core.modality import Modality
from genlab.core.table import Table
from genlab.data.dataset import IntArray, Source, Split, conditions_of
from genlab.metrics import similarity
from genlab.metrics.extractors.extractor import Extractor
from genlab.runs.statistics import random_rows
from genlab.version import __version__

Pixels = Literal["binary", "continuous", "unknown"]
"""Values of the likelihood, of images the pixels: black or white, in [-1, 1], or those of a likelihood that is not
normalised."""


@dataclass(frozen=True)
class Subject:
    """A model to evaluate, and everything that its figures depend on."""

    model: Any  # with the capabilities that a row of `EVALUATORS` requires
    source: Source
    samples: int  # number of samples, and largest number of real images
    extractor: Extractor | None  # of features; None for samples that are measured without one
    split: str  # of the real images: "held-out" or "train"
    seed: int
    stamp: Mapping[str, Any]
    pixels: Pixels = "unknown"
    likelihood: str = "unknown"  # "normalised", or the reconstruction whose constant the bound omits
    progress: bool = False  # whether to show progress bars

    @property
    def real(self) -> Split:
        """The real images with which the model is compared."""
        return self.source.held_out if self.split == "held-out" else self.source.train


def rows_of(subject: Subject, count: int) -> IntArray:
    """Return positions of `count` real examples, repeated if there are fewer."""
    return np.resize(random_rows(len(subject.real), count), count)


def sources_of(subject: Subject, count: int) -> dict[str, Tensor]:
    """Return the conditions that a model must be given, from `count` real examples."""
    return dict(
        conditions_of(subject.real, rows_of(subject, count), required_conditions(subject.model.conditions))
    )


def mean_of(values: Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return float(values.mean()), error


def protocol_of(subject: Subject) -> dict[str, Any]:
    """Return the part of the protocol that all figures of a subject share."""
    sizes = sizes_of(subject.source.train.spec.target)
    return {"split": subject.split, **sizes, "seed": subject.seed, **subject.stamp, "genlab": __version__}


def sizes_of(modality: Modality) -> dict[str, str]:
    """Return the size of an example by what it is of: images, columns of a table, dimensions of a point."""
    if isinstance(modality, Table):
        return {"columns": str(len(modality.columns))}
    return {"images" if modality.spatial == 2 else "dimensions": shape_of(modality)}


def shape_of(modality: Modality) -> str:
    """Return the shape as in a protocol, such as 3×32×32."""
    return "×".join(map(str, modality.shape))


def has_windows(modality: Modality) -> bool:
    """Return whether examples are pictures that are large enough for SSIM's window."""
    return modality.spatial == 2 and min(modality.shape[1:]) >= similarity.WINDOW
