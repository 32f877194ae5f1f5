"""Normal examples: what scores are compared with, and what their thresholds are calibrated on."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from genlab.applications.examples import Thinned
from genlab.applications.scores import COMBINED, PARTS, SCORES, Numbers, Tools, embedded, singles
from genlab.core.errors import DataError, GenlabError
from genlab.core.files import replace
from genlab.core.modality import DataSpec, Modality
from genlab.core.text import counted
from genlab.data.dataset import Rejected, Source
from genlab.data.originals import Originals, stacked
from genlab.data.progress import bar
from genlab.runs.data import data_of
from genlab.runs.statistics import pieces_of, random_rows
from genlab.training.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.progress import Progress

Batches: TypeAlias = Callable[[], Iterable[Tensor]]  # (B, *shape) each

MOST, NUMBERS = 10_000, 2**26  # normal examples that are compared with, and numbers of all their vectors
MOST_HELD_OUT = 2000
FOLDS = 5
TINY = 1e-9


@dataclass(frozen=True)
class Normals:
    """Normal examples in batches; without held-out ones, thresholds are calibrated by cross-validation."""

    about: str  # where they come from, in words
    stamp: str
    count: int
    examples: Batches
    held_out: Batches = tuple


@dataclass(frozen=True)
class Calibrated:
    """A score that is fitted to normal examples."""

    score: Callable[[Mapping[str, Numbers]], Numbers]  # of the vectors of examples by score, (B,)
    normal: Numbers  # scores of normal examples that it was not fitted to; none of a single example

    def threshold(self, quantile: float) -> float | None:
        """Return the score above which at most 1 − `quantile` of the normal examples lie."""
        if not len(self.normal):
            return None
        return float(np.quantile(self.normal, quantile, method="inverted_cdf"))


def most_of(names: Sequence[str], tools: Tools, modality: Modality) -> int:
    """Return how many normal examples are compared with: at most 10,000, and fewer if their vectors are long."""
    vectors = embedded(names, tools, torch.zeros(1, *modality.shape))
    longest = max(len(each[0]) for each in vectors.values())
    return min(MOST, max(1, NUMBERS // longest))


def data_of_run(folder: RunFolder, spec: DataSpec, data: str | None) -> Source:
    """Return the data that a run was trained on, which are at `data` if they have moved.

    Raises:
        DataError: they cannot be opened.
    """
    try:
        return data_of(folder, spec, data, quiet=True)
    except GenlabError as error:
        ways = "Or say where they are now by --data, or give other normal examples by --normal."
        raise DataError(f"{error} {ways}") from None


def of_run(source: Source, most: int) -> Normals:
    """Return the examples that a run was trained on, `most` at most, and what was held out."""
    train = random_rows(len(source.train), most)
    held_out = random_rows(len(source.held_out), MOST_HELD_OUT)
    about = f"normal are the {counted(len(source.train), 'training example')} of the run"
    about += f", of which {len(train):,} are compared with" if len(train) < len(source.train) else ""
    examples, others = pieces_of(source.train, train), pieces_of(source.held_out, held_out)
    return Normals(
        f"{about}; thresholds are calibrated on {counted(len(held_out), 'held-out one')}",
        source.train.fingerprint,
        len(train),
        lambda: (piece() for piece in examples),
        lambda: (piece() for piece in others),
    )


def of_user(normal: Originals, most: int, rejected: list[Rejected]) -> Normals:
    """Return the normal examples that a user gives, about `most` at most; what is none is added to `rejected`."""
    about = f"normal are {counted(normal.count, 'example')} of {normal.title}"
    about += f", of which about {most:,} are compared with" if most < normal.count else ""
    thinned = Thinned(most / normal.count) if most < normal.count else ()
    return Normals(
        f"{about}; thresholds are calibrated by {FOLDS}-fold cross-validation",
        normal.stamp,
        min(most, normal.count),
        lambda: (stacked(chunk) for chunk in normal.chunks(rejected, done=thinned)),
    )


def calibrate(
    names: Sequence[str], tools: Tools, normals: Normals, kept: Path, *, progress: bool
) -> dict[str, Calibrated]:
    """Fit scores to normal examples, whose vectors are kept in a file, from which they are read if it is there.

    Raises:
        DataError: there is no normal example.
        StorageError: the disk refused.
    """
    stored = _read(kept)
    if stored is None:
        stored = {}
        parts = {"examples": normals.examples(), "held_out": normals.held_out()}
        for part, batches in parts.items():
            for name, vectors in _embed_all(names, tools, batches, normals.count, progress=progress).items():
                stored[f"{part} {name}"] = vectors
        _write(kept, stored)
    alone = singles(names)
    if not all(len(stored[f"examples {name}"]) for name in alone):
        raise DataError("there is no normal example to compare with. Give some: --normal FOLDER.")
    found = {name: _calibrated(name, stored[f"examples {name}"], stored[f"held_out {name}"]) for name in alone}
    return {name: _combined(found) if name == COMBINED else found[name] for name in names}


def _calibrated(name: str, examples: Numbers, held_out: Numbers) -> Calibrated:
    fit = SCORES[name].fit
    distance = fit(examples)

    def score(vectors: Mapping[str, Numbers]) -> Numbers:
        return distance(vectors[name])

    if len(held_out):
        return Calibrated(score, distance(held_out))
    folds = min(FOLDS, len(examples))
    if folds == 1:
        return Calibrated(score, np.zeros(0, np.float32))
    place = np.arange(len(examples)) % folds
    scores = np.zeros(len(examples), np.float32)
    for fold in range(folds):
        scores[place == fold] = fit(examples[place != fold])(examples[place == fold])
    return Calibrated(score, scores)


def _combined(found: Mapping[str, Calibrated]) -> Calibrated:
    """Return Σ (log s − m) / d over the parts s, with mean m and deviation d of log s over normal examples."""
    logarithms = {part: _logarithm(found[part].normal) for part in PARTS}
    usual = {part: (values.mean(), values.std() + TINY) for part, values in logarithms.items() if len(values) > 1}

    def summed(parts: Mapping[str, Numbers]) -> Numbers:
        standard = []
        for part in PARTS:
            mean, deviation = usual.get(part, (0.0, 1.0))
            standard.append((parts[part] - mean) / deviation)
        return np.asarray(np.sum(standard, 0), np.float32)

    def score(vectors: Mapping[str, Numbers]) -> Numbers:
        return summed({part: _logarithm(found[part].score(vectors)) for part in PARTS})

    return Calibrated(score, summed(logarithms))


def _logarithm(scores: Numbers) -> Numbers:
    return np.asarray(np.log(scores + TINY), np.float32)


def _embed_all(
    names: Sequence[str], tools: Tools, batches: Iterable[Tensor], count: int, *, progress: bool
) -> dict[str, Numbers]:
    parts: dict[str, list[Numbers]] = {name: [np.zeros((0, 1), np.float32)] for name in singles(names)}
    with bar(progress) as shown:
        for x in _shown(batches, shown, count):
            for name, vectors in embedded(names, tools, x).items():
                parts[name].append(vectors)
    return {name: np.concatenate(each[1:] or each) for name, each in parts.items()}


def _shown(batches: Iterable[Tensor], shown: "Progress", count: int) -> Iterator[Tensor]:
    task = shown.add_task("normal examples", total=count)
    for x in batches:
        yield x
        shown.advance(task, len(x))


def _read(path: Path) -> dict[str, Numbers] | None:
    with suppress(OSError, ValueError, EOFError), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file}
    return None


def _write(path: Path, arrays: Mapping[str, Numbers]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    replace(path, stream.getvalue())
