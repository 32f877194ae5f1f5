"""Whether generated pictures help: the accuracy of a small classifier with and without them.

Each classifier is trained for the same number of steps, and tested on the held-out pictures:

    real             the training pictures
    real + repeats   of each class that is filled up, pictures are repeated as often as pictures were generated
    real + flips     likewise, and all pictures are mirrored at random
    real + generated
    generated alone  classes that are filled up have only generated pictures
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genlab.applications.augment import Filled
from genlab.core.files import append
from genlab.core.text import aligned, printable
from genlab.data.dataset import Array, Dataset, IntArray, Split, as_floats
from genlab.data.progress import bar
from genlab.runs.classifier import fitted, predicted

SETS = ("real", "real + repeats", "real + flips", "real + generated", "generated alone")
FLIPS = "real + flips"  # what generated pictures have to beat
GENERATED = "real + generated"
SEEDS, STEPS = 3, 600  # of each classifier, whatever it is trained on


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of classifiers that were trained on the same set with other seeds."""

    trained_on: str  # one of `SETS`
    all: Array  # (seeds,), share of the held-out pictures that are recognised
    classes: Mapping[str, Array]  # the same of the pictures of each class

    def values(self) -> dict[str, Any]:
        """Return the accuracies of all seeds as plain values for JSON."""
        return {"all": self.all.tolist(), "classes": {name: each.tolist() for name, each in self.classes.items()}}


def gain(found: Sequence[Accuracy], names: Sequence[str]) -> tuple[Array, Array]:
    """Return by how much generated pictures raise accuracies against flips, for each seed.

    It is the mean accuracy of the classes `names`, and that of all pictures: a classifier that often answers with
    a class recognises it well, and others badly.
    """
    by_set = {each.trained_on: each for each in found}
    with_them, flips = by_set[GENERATED], by_set[FLIPS]
    classes: Array = np.mean([with_them.classes[name] - flips.classes[name] for name in names], axis=0)
    every: Array = with_them.all - flips.all
    return classes, every


def as_text(found: Sequence[Accuracy], names: Sequence[str]) -> str:
    """Return the accuracies of the classes that were filled up and of all as a table, and what they say."""
    shown = [name for name in names if name in found[0].classes]
    head = ("accuracy on held-out pictures", *(each.trained_on for each in found))
    rows = [(printable(name), *(_written(each.classes[name]) for each in found)) for name in shown]
    lines = [aligned([head, *rows, ("all classes", *(_written(each.all) for each in found))])]
    lines.append(f"mean ± standard deviation of {len(found[0].all)} seeds, {STEPS} steps each")
    if shown:
        classes, every = (
            f"{100 * each.mean():+.1f} ± {100 * each.std(ddof=1):.1f}" for each in gain(found, shown)
        )
        lines.append(
            f"Generated pictures against flips: {classes} points for these classes, {every} for all pictures."
        )
    return "\n".join(lines)


def _written(values: Array) -> str:
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"


def accuracies(
    train: Split,
    held_out: Split,
    filled: Sequence[Filled],
    files: Sequence[Path],
    record: Path,
    device: torch.device,
    steps: int = STEPS,
) -> list[Accuracy]:
    """Train classifiers on the sets; results are appended to `record`, so that a killed command goes on.

    Args:
        train: the real training pictures.
        held_out: the pictures that the classifiers are tested on.
        filled: the classes that were filled up.
        files: the generated pictures, class by class in the order of `filled`.
        record: a file with a line of JSON for each classifier.
        device: where to train.
        steps: of each classifier.
    """
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()] if record.exists() else []
    done = {(line["set"], line["seed"]): line for line in lines}
    sets = _sets(train, filled, files)
    with bar(show=True) as shown:
        task = shown.add_task("training classifiers", total=len(sets) * SEEDS, completed=len(done))
        for name, rows in sets.items():
            for seed in range(SEEDS):
                if (name, seed) in done:
                    continue
                data = _dataset(train, filled, files, rows)
                extractor = fitted(data, device, seed, steps, flip=name == FLIPS)
                done[name, seed] = {"set": name, "seed": seed, **_right(predicted(extractor, held_out), held_out)}
                append(record, json.dumps(done[name, seed]))
                shown.advance(task)
    return [_accuracy(name, [done[name, seed] for seed in range(SEEDS)]) for name in sets]


def _sets(train: Split, filled: Sequence[Filled], files: Sequence[Path]) -> dict[str, IntArray]:
    """Return the rows of each set; those from `len(train)` on are generated."""
    assert train.labels is not None
    real = np.arange(len(train))
    generated = len(train) + np.arange(len(files))
    repeats = [np.resize(np.flatnonzero(train.labels == each.gap.label), each.kept) for each in filled]
    repeated = np.concatenate([real, *repeats])
    kept = real[~np.isin(train.labels, [each.gap.label for each in filled])]
    both, alone = np.concatenate([real, generated]), np.concatenate([kept, generated])
    return dict(zip(SETS, (real, repeated, repeated, both, alone), strict=True))


def _dataset(train: Split, filled: Sequence[Filled], files: Sequence[Path], rows: IntArray) -> Dataset:
    made = [np.full(each.kept, each.gap.label) for each in filled]
    assert train.labels is not None
    labels = np.concatenate([train.labels, *made])[rows]
    return Dataset("real and generated", _Pictures(train, files, rows), labels, train.spec.class_names, "")


@dataclass(frozen=True)
class _Pictures:
    """Rows of real pictures followed by generated ones, whose files are read when they are needed."""

    real: Split
    files: Sequence[Path]
    rows: IntArray

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.real.spec.target.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: IntArray) -> Array:
        rows = self.rows[index]
        found, real = np.empty((len(rows), *self.shape[1:]), np.float32), rows < len(self.real)
        if real.any():
            found[real] = self.real.batch(rows[real]).x.numpy()
        for at in np.flatnonzero(~real):
            found[at] = as_floats(_read(self.files[rows[at] - len(self.real)]))
        return found


def _read(path: Path) -> Array:
    from PIL import Image

    with Image.open(path) as picture:
        array = np.asarray(picture)
    return array.reshape(*array.shape[:2], -1).transpose(2, 0, 1)


def _right(predictions: IntArray, held_out: Split) -> dict[str, Any]:
    """Return the share of pictures that are recognised, of all and of each class that has any."""
    assert held_out.labels is not None
    right = predictions == held_out.labels
    names = held_out.spec.class_names
    classes = {names[at]: float(right[held_out.labels == at].mean()) for at in np.unique(held_out.labels)}
    return {"all": float(right.mean()), "classes": classes}


def _accuracy(name: str, lines: Sequence[Mapping[str, Any]]) -> Accuracy:
    classes = {each: np.array([line["classes"][each] for line in lines]) for each in lines[0]["classes"]}
    return Accuracy(name, np.array([line["all"] for line in lines]), classes)
