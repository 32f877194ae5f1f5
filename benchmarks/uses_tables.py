"""Anomalies in tables and synthetic rows: the presets for tables and what they have to beat.

Data: the ten tables of `shared/data/tables.zip`, of ADBench (Han et al., 2022, arXiv:2206.09426), with labels
0 (normal) and 1. Training rows are half of the normal ones, at most 5,000; the others and all anomalies are
measured, at most 4,000 of each. Labels are only used to measure. Numbers are scaled by the training rows. Scores:
reconstruction error, or minus the bound on the likelihood. Baselines: isolation forest, mean distance to 5
neighbours, error of PCA with 90 % of the variance. Figures of synthetic rows are those of `genlab evaluate` on one
of the tables.
"""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import genlab
from budget import DONE, RARELY
from genlab.bench.page import Row, Section
from genlab.core.batch import AT_ONCE
from genlab.core.column import Column
from genlab.core.contract import BoundsLikelihood, Reconstructs
from genlab.core.modality import Modality
from genlab.core.random import generator
from genlab.core.table import Table
from genlab.data.dataset import Dataset, Source, fingerprint
from genlab.recipes.presets import PRESETS, TABLES

Floats = npt.NDArray[np.float64]
DATA = Path(__file__).parents[2] / "shared" / "data" / "tables.zip"
MOST_TRAINED, MOST_MEASURED = 5000, 4000  # rows
SYNTHETIC = "23_mammography"  # the table of which rows are generated
AIM, MINUTE = 0.92, 60.0


@dataclass(frozen=True, repr=False)
class Rows(Dataset):
    """Scaled rows of numbers."""

    table: Table = Table((Column("0"),))

    @property
    def modality(self) -> Modality:
        """The table."""
        return self.table


@dataclass(frozen=True)
class Task:
    """A table to train on, and labelled rows to measure."""

    source: Source
    train: Floats
    test: Floats
    labels: npt.NDArray[np.bool_]


def tasks() -> Iterator[tuple[str, Task]]:
    """Yield each table by name."""
    with zipfile.ZipFile(DATA) as tables:
        for member in sorted(tables.namelist()):
            with np.load(io.BytesIO(tables.read(member))) as file:
                yield Path(member).stem, task(file["X"].astype(float), file["y"].ravel() == 1)


def task(rows: Floats, anomalous: npt.NDArray[np.bool_]) -> Task:
    """Divide a table, and scale it by the training rows; a tenth of these is held out."""
    random = np.random.default_rng(0)
    normal, odd = (random.permutation(np.flatnonzero(anomalous == kind)) for kind in (False, True))
    half = len(normal) // 2
    train, rest = rows[normal[:half][:MOST_TRAINED]], normal[half:][:MOST_MEASURED]
    odd = odd[:MOST_MEASURED]
    mean, deviation = train.mean(0), train.std(0)
    varies = deviation > 1e-9 * np.maximum(1, abs(mean))
    table = Table(tuple(column(int(at), train[:, at]) for at in np.flatnonzero(varies)))
    scaled, test = (
        (part[:, varies] - mean[varies]) / deviation[varies] for part in (train, rows[np.r_[rest, odd]])
    )
    cut = len(scaled) // 10
    parts = []
    for name, part in (("train", scaled[cut:]), ("held out", scaled[:cut])):
        values = part.astype(np.float32)
        parts.append(Rows(name, values, None, (), fingerprint(values, None), table=table))
    return Task(Source("table", parts[0], parts[1], len(scaled)), scaled, test, np.arange(len(test)) >= len(rest))


def column(number: int, values: Floats) -> Column:
    """Return a column of numbers; whole numbers are said to be whole."""
    decimals = 0 if (values == values.round()).all() else None
    low, high = float(values.min()), float(values.max())
    return Column(str(number), (), float(values.mean()), float(values.std()), low, high, decimals)


def baselines(task: Task) -> dict[str, float]:
    """Return the AUROC of what needs no generative model."""
    forest = IsolationForest(random_state=0).fit(task.train)
    distances, _ = NearestNeighbors(n_neighbors=5).fit(task.train).kneighbors(task.test)
    pca = PCA(0.9).fit(task.train)
    errors = task.test - pca.inverse_transform(pca.transform(task.test))
    scores = {
        "isolation forest": -forest.score_samples(task.test),
        "5-NN": distances.mean(1),
        "PCA": (errors**2).sum(1),
    }
    return {name: float(roc_auc_score(task.labels, score)) for name, score in scores.items()}


@torch.no_grad()
def scored(model: torch.nn.Module, task: Task) -> dict[str, float]:
    """Return the AUROC of each score that the model has."""
    rows = torch.split(torch.tensor(task.test, dtype=torch.float32), AT_ONCE)
    scores = {}
    if isinstance(model, Reconstructs):
        scores["reconstruction"] = torch.cat([(model.reconstruct(x) - x).square().mean(1) for x in rows])
    if isinstance(model, BoundsLikelihood):
        noise = generator(0, "scores")
        scores["likelihood"] = -torch.cat([model.evidence_bound(x, generator=noise) for x in rows])
    return {name: float(roc_auc_score(task.labels, score.double().nan_to_num())) for name, score in scores.items()}


def trained(preset: str, data: Source, folder: Path, minutes: float) -> float:
    """Train a preset into `folder`, unless it is finished; return the seconds of one core that it took."""
    done = folder / DONE
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        began = time.process_time()
        where = {"root": folder.parent, "name": folder.name, "steps": round(PRESETS[preset].steps * minutes)}
        genlab.train(preset, data=data, quiet=True, **RARELY, **where)
        done.write_text(json.dumps(time.process_time() - began))
    return float(json.loads(done.read_text()))


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train and measure each preset on each table; one minute is the steps of the preset, others scale them.

    Runs are kept in `runs`; those that are finished are not trained again.
    """
    torch.set_num_threads(1)
    found: dict[str, dict[str, float]] = {}
    synthetic: dict[str, dict[str, Any]] = {}
    slowest = dict.fromkeys(TABLES, 0.0)
    for name, one in tasks():
        found[name] = baselines(one)
        for preset in TABLES:
            run = runs / f"{name}-{preset}"
            slowest[preset] = max(slowest[preset], trained(preset, one.source, run, minutes))
            model = genlab.load(run, checkpoint="last")
            found[name] |= {f"{preset}, {score}": value for score, value in scored(model, one).items()}
            if name == SYNTHETIC:
                figures = genlab.evaluate(run, data=one.source, checkpoint="last").figures
                synthetic[preset] = {
                    figure.name: {"value": figure.value, "floor": figure.floor}
                    for figure in figures
                    if figure.floor is not None
                }
    return {"minutes": minutes, "seconds": slowest, "auroc": found, "synthetic": synthetic}


def section(line: Mapping[str, Any]) -> Section:
    """Return the means over the tables, where k-NN wins, and the figures of synthetic rows."""
    tables: Mapping[str, Mapping[str, float]] = line["auroc"]
    methods = next(iter(tables.values())).keys()
    means = {method: float(np.mean([table[method] for table in tables.values()])) for method in methods}
    ours = {method: mean for method, mean in means.items() if method.startswith(tuple(line["seconds"]))}
    best = max(ours, key=lambda method: ours[method])
    wins = [name for name, table in tables.items() if table["5-NN"] > table[best]]
    rows = [Row(method, mean, "AUROC", least=AIM if method == best else None) for method, mean in means.items()]
    rows += [
        Row(f"{preset}, slowest training", took, "s", most=MINUTE) for preset, took in line["seconds"].items()
    ]
    rows += [
        Row(f"{preset}, {name} (floor: {figure['floor']:.3g})", figure["value"], "")
        for preset, figures in line["synthetic"].items()
        for name, figure in figures.items()
    ]
    method = (
        f"Ten tables of ADBench, trained on half of the normal rows (at most {MOST_TRAINED:,}) with one core; the "
        f"mean AUROC. The best of ours is {best}; 5-NN beats it on {len(wins)} of {len(tables)} tables "
        f"({', '.join(wins) or 'none'}). Synthetic rows are of {SYNTHETIC}; the floor is that of training "
        "rows, or of rows that know none."
    )
    return Section("Tables", method, rows)
