"""Fills up a rare class of Fashion-MNIST with generated pictures, and measures what a classifier gains by them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import genlab
from budget import Line, train_for
from genlab.applications.augment import VERDICTS, Filled, Gap
from genlab.applications.augment_accuracy import FLIPS, GENERATED, SETS, accuracies
from genlab.applications.rows import read_table
from genlab.bench.measure import Spread
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.core.pictures import image_grid, png
from genlab.data.dataset import Source
from genlab.data.originals import originals, stacked
from genlab.data.source import open_source

DATA, SIDE, RARE, LEFT = "fashion-mnist", 32, "shirt", 60  # training pictures of the rare class: 1 % of them
PRESETS, WIDTH = ("conditional-vae", "cgan", "acgan"), 32
TRAINING = 1 / 15  # fraction of the minutes that each preset trains
STEPS = 10  # of a classifier, for each minute
SHARED = SETS[:3]  # sets without generated pictures, on which classifiers are trained once for all presets
SHOWN = 16  # pictures of each preset in the strip
AIM = 3.0  # points


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train each preset, fill up the rare class, and return the accuracies of the classifiers by preset."""
    source = imbalanced(runs / "data.npz")
    steps, presets, strips = round(max(1, STEPS * minutes)), {}, [_real(source)]
    earlier: list[str] = []
    for preset in PRESETS:
        options = {"data": str(runs / "data.npz"), "width": WIDTH, "balance": True}
        run = train_for(minutes * TRAINING, preset, runs / preset, options).folder
        filled, files = _augmented(run, runs / f"{preset}-pictures", source)
        record = runs / f"{preset}-accuracies.jsonl"
        if not record.exists():
            replace(record, "".join(earlier).encode())
        measured = accuracies(source.train, source.held_out, [filled], files, record, torch.device("cpu"), steps)
        lines = record.read_text().splitlines(keepends=True)
        earlier = [line for line in lines if json.loads(line)["set"] in SHARED]
        accuracy = {each.trained_on: each.values() for each in measured}
        counts = {"generated": filled.kept, "low_score": filled.low, "copies": filled.copies}
        presets[preset] = {"counts": counts, "accuracy": accuracy}
        strips.append(_first(runs / f"{preset}-pictures", source))
    replace(runs / "augmentation.png", png(image_grid(torch.cat(strips), columns=SHOWN)))
    return {"steps": steps, "presets": presets}


def imbalanced(path: Path) -> Source:
    """Return Fashion-MNIST with few pictures of a class in its training part; it is written to `path`."""
    if not path.exists():
        source = open_source(DATA, size=SIDE)
        names, labels = np.array(source.train.spec.class_names), source.train.labels
        assert labels is not None
        assert source.held_out.labels is not None
        rare = np.flatnonzero(names[labels] == RARE)
        rows = np.delete(np.arange(len(labels)), rare[LEFT:])
        every = np.arange(len(source.held_out))
        draft = path.with_name("draft.npz")
        np.savez(
            draft,
            images=source.train.values[rows],
            labels=names[labels[rows]],
            test_images=source.held_out.values[every],
            test_labels=names[source.held_out.labels],
        )
        draft.replace(path)
    return open_source(str(path))


def _augmented(run: Path, folder: Path, source: Source) -> tuple[Filled, list[Path]]:
    """Return what became of the candidates, and the files that were kept; they are made unless they are there."""
    record = folder.with_name(f"{folder.name}.csv")
    if not record.exists():
        genlab.augment(run, out=folder, checkpoint="last")
    table = read_table(record)
    codes = table.values[:, table.columns.index("code")].astype(np.int64)
    kept, low, copies = np.bincount(codes, minlength=len(VERDICTS)).tolist()
    label = source.train.spec.class_names.index(RARE)
    gap = Gap(label, RARE, RARE, LEFT, kept)
    files = [folder / name for name, code in zip(table.names, codes, strict=True) if code == 0]
    return Filled(gap, kept, low, copies, float("nan")), files


def _real(source: Source) -> Tensor:
    """Return the first pictures of the rare class."""
    label = source.train.spec.class_names.index(RARE)
    return source.train.batch(np.flatnonzero(source.train.labels == label)[:SHOWN]).x


def _first(folder: Path, source: Source) -> Tensor:
    """Return the first generated pictures in a folder."""
    with originals(folder, source.train.spec.target) as given:
        return stacked(next(given.chunks([]))[:SHOWN])


def section(line: Line) -> Section:
    """Return the accuracies as a section of the page."""
    presets: Mapping[str, Any] = line["presets"]
    first = next(iter(presets.values()))["accuracy"]
    rows = [Row(f"{RARE}: {name}", _percent(first[name]["classes"][RARE]), "%") for name in SHARED]
    for preset, found in presets.items():
        accuracy = found["accuracy"]
        rows += [
            Row(f"{RARE}: {name}, {preset}", _percent(accuracy[name]["classes"][RARE]), "%")
            for name in SETS[len(SHARED) :]
        ]
        gains = np.subtract(accuracy[GENERATED]["classes"][RARE], accuracy[FLIPS]["classes"][RARE])
        rows.append(Row(f"{RARE}: gain against flips, {preset}", _percent(gains), "points", least=AIM))
        every = np.subtract(accuracy[GENERATED]["all"], accuracy[FLIPS]["all"])
        rows.append(Row(f"all classes: gain against flips, {preset}", _percent(every), "points", least=0.0))
    rows += [Row(f"all classes: {name}", _percent(first[name]["all"]), "%") for name in SHARED]
    return Section("Augmentation", _method(line), rows)


def _percent(shares: Sequence[float]) -> Spread:
    return Spread.of(float(100 * share) for share in shares)


def _method(line: Line) -> str:
    counts = "; ".join(
        f"{preset} {found['counts']['generated']:,} kept, {found['counts']['low_score']:,} with a low score, "
        f"{found['counts']['copies']:,} copies refused"
        for preset, found in line["presets"].items()
    )
    return (
        f"Fashion-MNIST at {SIDE} pixels with {LEFT} of the 6,000 training pictures of the class {RARE}. "
        f"`genlab train PRESET --width {WIDTH} --balance`, {TRAINING * line['minutes']:.3g} minutes of one core "
        f"each; then `genlab augment RUN` fills up the class ({counts}). Classifiers of {line['steps']:,} steps "
        "of 128 pictures are tested on the 10,000 test pictures, with 3 seeds. *Repeats* are copies of real "
        "pictures, *flips* are repeats with all pictures mirrored at random, and in *generated alone* the class "
        f"has no real pictures. Accuracy is the share of the pictures of a class that are recognised.\n\n"
        f"![Real pictures of the class {RARE}, and of {', '.join(line['presets'])}](uses/augmentation.png)"
    )
