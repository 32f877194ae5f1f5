"""Features of Fashion-MNIST: how well few labels tell the classes from the frozen latents of presets."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import genlab
from budget import Line, train_for
from genlab.applications.probe import Accuracy
from genlab.bench.page import Row, Section

LABELS = 100  # 10 of each class
PROBES = ("linear", "k-NN")


@dataclass(frozen=True)
class Model:
    """A preset and what of it is probed."""

    preset: str
    options: Mapping[str, Any] = field(default_factory=dict)


MODELS: Mapping[str, Model] = {
    "autoencoder": Model("autoencoder"),
    "conv-autoencoder": Model("conv-autoencoder"),
    "denoising-autoencoder": Model("denoising-autoencoder"),
    "conv-vae": Model("conv-vae"),
    "dcgan, discriminator": Model("dcgan", {"width": 32}),
}
BEST = "conv-autoencoder"  # is held to the aim


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train each preset for `minutes` of one core, and probe it on 10,000 held-out pictures."""
    found = {}
    for name, model in MODELS.items():
        options = {"data": "fashion-mnist", "size": 32, **model.options}
        trained = train_for(minutes, model.preset, runs / f"features-{model.preset}", options)
        done = genlab.probe(trained.folder, checkpoint="last", out=runs / f"features-{model.preset}.png")
        found[name] = {"steps": trained.steps, "accuracies": [asdict(each) for each in done.accuracies]}
    return {"minutes": minutes, "models": found}


def section(line: Line) -> Section:
    """Return the accuracies with 100 labels; the best preset is held to be better than pixels and their PCA."""
    rows = []
    for probe in PROBES:
        for name, found in line["models"].items():
            own, *baselines = _accuracies(found, probe)
            floor = max(each.mean for each in baselines)
            aim = floor if name == BEST and probe == "linear" else None
            rows += [_row(f"{probe}: {name}", own, aim)]
            if name == BEST:
                rows += [_row(f"{probe}: {each.space}", each) for each in baselines]
    method = (
        f"Fashion-MNIST at 32 px, {LABELS} labels (10 of each class), drawn five times; accuracy on 10,000 "
        f"held-out pictures. Each preset was trained without labels for {line['minutes']:g} minutes of one core. "
        "The aim is the better of the raw pixels and of as many principal components as the model has latents.\n\n"
        f"![Accuracy of {BEST} over the number of labels](uses/features-{BEST}.png)"
    )
    return Section("Features", method, rows)


def _accuracies(found: Mapping[str, Any], probe: str) -> Sequence[Accuracy]:
    every = [Accuracy(**plain) for plain in found["accuracies"]]
    return [each for each in every if (each.probe, each.labels) == (probe, LABELS)]


def _row(what: str, accuracy: Accuracy, least: float | None = None) -> Row:
    return Row(f"{what} (± {accuracy.deviation:.3f})", accuracy.mean, "", least)
