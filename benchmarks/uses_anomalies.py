"""Anomalies in pictures: one class of Fashion-MNIST against the rest, and defects of solar cells.

Fashion-MNIST at 32 pixels: for each class a model is trained on nine tenths of its 6,000 training pictures, and
every second of the 10,000 test pictures is scored; those of the class are normal. The figure is the mean AUROC
of the ten classes. Solar cells at 64 pixels (`pip install --no-deps elpv-dataset`): models are trained on half
of the cells that are certainly sound, and the other half is scored with the certainly defective ones. The k-NN
baseline compares features: of Fashion-MNIST the pixels, averaged to 16×16, of solar cells those of
EfficientNet-Lite0 at 96 pixels. Presets that need labels or sources, and diffusion, whose bound takes five
passes of a U-Net, are left out.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import genlab
from budget import train_for
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.data.source import open_source

FASHION, SIDE, SOLAR_SIDE = "fashion-mnist", 32, 64
AIM = 0.93
SMALL: Mapping[str, Any] = {"width": 16}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "autoencoder": {},
    "sparse-autoencoder": {},
    "denoising-autoencoder": SMALL,
    "conv-autoencoder": SMALL,
    "vae": {},
    "conv-vae": SMALL,
    "beta-vae": SMALL,
    "iwae": {},
    "gan": {"width": 256},
    "dcgan": SMALL,
    "realnvp": SMALL,
    "glow": SMALL,
}
ON_CELLS = ("autoencoder", "conv-autoencoder", "conv-vae")
SHARE_OF_CELLS = 0.1  # of the time
BASELINES = ("features", "pca")
MODEL_SCORES = ("combined", "reconstruction", "latent")
TEST = "test.npz"


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Return the AUROC of each score of each preset on each class, and on solar cells if they are installed.

    Args:
        runs: folder of the runs and of what has been measured, with which a stopped benchmark goes on.
        minutes: processor time of one core for all trainings.
    """
    names = open_source(FASHION, size=SIDE).train.spec.class_names
    each = (1 - SHARE_OF_CELLS) * minutes / len(PRESETS) / len(names)
    fashion: dict[str, dict[str, list[float]]] = {}
    for preset, options in PRESETS.items():
        for label, name in enumerate(names):
            scores = _of_class(runs, preset, options, label, name, each)
            for score, auroc in scores.items():
                fashion.setdefault(preset, {}).setdefault(score, []).append(auroc)
    cells = _cells(runs / "cells") if find_spec("elpv_dataset") else None
    each_cell = SHARE_OF_CELLS * minutes / len(ON_CELLS)
    solar = {preset: _of_cells(runs, preset, cells, each_cell) for preset in ON_CELLS} if cells else {}
    return {"minutes": minutes, "classes": list(names), "fashion": fashion, "solar": solar}


def _of_class(
    runs: Path, preset: str, options: Mapping[str, Any], label: int, name: str, minutes: float
) -> dict[str, float]:
    """Train on one class, and return the AUROC of each score on the test pictures."""
    data = runs / "data" / f"{label}.npz"
    if not data.exists():
        _write_class(data, label)
    asked = {**options, "data": str(data), "size": SIDE}
    place = runs / f"{preset}-{label}"
    by = [*MODEL_SCORES, "pca"] if preset == "autoencoder" else None
    return _scored(
        place, preset, asked, minutes, data.parent / TEST, by=by, normal_class=[name], extractor="pixels"
    )


def _scored(
    place: Path,
    preset: str,
    options: Mapping[str, Any],
    minutes: float,
    test: Path,
    **asked: Any,  # noqa: ANN401
) -> dict[str, float]:
    """Train a preset, unless that is done, and return the AUROC of each score on test pictures."""
    known = place / "auroc.json"
    if not known.exists():
        trained = train_for(minutes, preset, place, options)
        done = genlab.score(trained.folder, test, checkpoint="last", **asked)
        aurocs = {score: figures["auroc"] for score, figures in done.figures.items()}
        replace(known, json.dumps(aurocs).encode())
    return dict(json.loads(known.read_text()))


def _write_class(path: Path, label: int) -> None:
    """Write the training pictures of a class, and of all classes every second test picture with its label."""
    source = open_source(FASHION, size=SIDE)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.flatnonzero(np.asarray(source.train.labels) == label)
    np.savez(path, images=source.train.values[rows])
    tested = np.arange(0, len(source.held_out), 2)
    names = np.array(source.held_out.spec.class_names)[np.asarray(source.held_out.labels)[tested]]
    test = {"images": source.held_out.values[tested], "labels": names}
    np.savez(path.parent / TEST, **test, test_images=test["images"], test_labels=names)


def _cells(folder: Path) -> Path:
    """Write the solar cells as a data set of defects: those of which it is certain what they are."""
    spec = find_spec("elpv_dataset")
    assert spec
    assert spec.origin
    source = Path(spec.origin).parent / "data"
    if (folder / "done").exists():
        return folder
    rows = [line.split() for line in (source / "labels.csv").read_text().splitlines()]
    for at, (file, probability, _) in enumerate(rows):
        place = {"0.0": "train/good" if at % 2 else "test/good", "1.0": "test/defective"}.get(probability)
        if place:
            path = folder / place / Path(file).name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.open(source / file).resize((SOLAR_SIDE, SOLAR_SIDE)).save(path)
    (folder / "done").touch()
    return folder


def _of_cells(runs: Path, preset: str, cells: Path, minutes: float) -> dict[str, float]:
    options = {**PRESETS[preset], "data": str(cells / "train"), "size": SOLAR_SIDE, "channels": 1}
    return _scored(runs / f"{preset}-cells", preset, options, minutes, cells)


def section(line: Mapping[str, Any]) -> Section:
    """Return the mean AUROC of each score of each preset, those of the best preset with the aim."""
    means = {
        (preset, score): float(np.mean(values))
        for preset, scores in line["fashion"].items()
        for score, values in scores.items()
        if score not in BASELINES
    }
    best = max(means, key=means.__getitem__)
    rows = [Row(f"Fashion-MNIST: {best[0]} by {best[1]}, the best", means[best], "AUROC", least=AIM)]
    some = next(iter(line["fashion"].values()))
    rows += [Row(f"Fashion-MNIST: {_NAMES[name]}", float(np.mean(some[name])), "AUROC") for name in BASELINES]
    rows += [
        Row(f"Fashion-MNIST: {preset} by {score}", mean, "AUROC")
        for (preset, score), mean in sorted(means.items(), key=lambda item: -item[1])
        if (preset, score) != best
    ]
    solar = {
        (preset, score): auroc
        for preset, scores in line["solar"].items()
        for score, auroc in scores.items()
        if score != "features"
    }
    if solar:
        nearest = next(iter(line["solar"].values()))["features"]
        first = max(solar, key=solar.__getitem__)
        rows += [Row(f"solar cells: {first[0]} by {first[1]}, the best", solar[first], "AUROC", least=nearest)]
        rows += [Row("solar cells: 5 nearest neighbours in features", nearest, "AUROC")]
        rows += [
            Row(f"solar cells: {p} by {s}", auroc, "AUROC") for (p, s), auroc in solar.items() if (p, s) != first
        ]
    method = (__doc__ or "").partition("\n\n")[2].strip().replace("\n", " ")
    return Section("Anomalies in pictures", f"{method} {line['minutes']:g} minutes of one core for all.", rows)


_NAMES = {"features": "5 nearest neighbours in pixels", "pca": "PCA"}
