"""Projects held-out pictures into the latents of a GAN, and edits them there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import genlab
from budget import Line, train_for
from genlab.bench.page import Row, Section
from genlab.core import files
from genlab.core.pictures import png
from genlab.data.source import open_source
from genlab.metrics.extractors.extractor import Extractor
from genlab.runs.classifier import accuracy, classifier_of
from genlab.verbs.edit import By

DATA: Mapping[str, int] = {"digits": 7, "fashion-mnist": 1}  # with the class towards which pictures are edited
PRESET: Mapping[str, Any] = {"width": 32, "size": 32, "ema": 0.999}
PROJECTED, EDITED, SHOWN = 200, 60, 8  # held-out pictures
BY: tuple[By, ...] = ("mean", "probe")
STRENGTHS = (0.0, 1.0, 1.5)


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train a GAN on each data set for an equal part of the minutes, and measure projections and edits."""
    return {"data": {data: _measure(runs, data, minutes / len(DATA)) for data in DATA}}


def _measure(runs: Path, data: str, minutes: float) -> dict[str, Any]:
    trained = train_for(minutes, "dcgan", runs / data, {"data": data, **PRESET})
    source = open_source(data, size=PRESET["size"])
    assert source.held_out.labels is not None
    rows = np.random.default_rng(0).permutation(len(source.held_out))[:PROJECTED]
    found = genlab.project(
        trained.folder,
        source.held_out.batch(rows).x.numpy(),
        out=trained.folder / "latents.npz",
        checkpoint="last",
    )
    few = replace(found, columns={name: column[:SHOWN] for name, column in found.columns.items()})
    files.replace(runs / f"projection-{data}.png", png(few.picture))
    extractor, towards = classifier_of(source, torch.device("cpu"), progress=False), DATA[data]
    others = rows[source.held_out.labels[rows] != towards][:EDITED]
    x = source.held_out.batch(others).x
    edits = {by: _edited(trained.folder, x, by, extractor, data) for by in BY}
    return {
        "training_steps": trained.steps,
        "images": trained.images,
        "psnr": dict(found.psnr),
        "class": source.train.spec.class_names[towards],
        "classifier": accuracy(extractor, source.held_out),
        "edits": edits,
    }


def _edited(run: Path, x: Tensor, by: By, extractor: Extractor, data: str) -> dict[str, Any]:
    """Return the share of pictures that are taken for the class after edits, by the model and in pixels alone."""
    strip = run.parent / f"edit-{by}-{data}.png"
    edited = genlab.edit(
        run, x.numpy(), towards=DATA[data], by=by, strength=STRENGTHS, out=strip, checkpoint="last"
    )
    assert edited.sources is not None
    assert edited.in_pixels is not None
    few = {name: getattr(edited, name)[:SHOWN] for name in ("sources", "frames", "in_pixels")}
    files.replace(strip, png(replace(edited, **few).picture))
    return {
        "model": [_share(extractor, made, DATA[data]) for made in edited.frames.unbind(1)],
        "pixels": [_share(extractor, made, DATA[data]) for made in edited.in_pixels.unbind(1)],
    }


def _share(extractor: Extractor, pictures: Tensor, label: int) -> float:
    probabilities = extractor(pictures).probabilities
    assert probabilities is not None
    return float((probabilities.argmax(1) == label).double().mean())


def section(line: Line) -> Section:
    """Return the figures as a section of the page."""
    rows, seen = [], []
    for data, found in line["data"].items():
        psnr = found["psnr"]
        rows += [
            Row(f"{data}: projection", psnr["projection"], "dB", least=psnr["nearest"]),
            Row(f"{data}: nearest training picture", psnr["nearest"], "dB"),
            Row(f"{data}: PCA with as many numbers", psnr["PCA"], "dB"),
        ]
        pixels = found["edits"]["mean"]["pixels"]
        for at, strength in enumerate(STRENGTHS):
            what = f"{data}: taken for {found['class']} after an edit of strength {strength:g}"
            for by, shares in found["edits"].items():
                least = 100 * pixels[at] if strength and by == "mean" else None
                rows.append(Row(f"{what}, --by {by}", 100 * shares["model"][at], "%", least))
            rows.append(Row(f"{what}, in pixels", 100 * pixels[at], "%"))
        seen += [f"![{kind} of {data}](uses/{kind}-{data}.png)" for kind in ("projection", "edit-mean")]
    sizes = ", ".join(f"{each['images']:,} {data}" for data, each in line["data"].items())
    method = (
        f"`genlab project` and `genlab edit` with a `dcgan` of width {PRESET['width']} that saw {sizes}: "
        f"{PROJECTED} held-out pictures each, of which {EDITED} of other classes are edited towards one. PSNR is "
        "the mean over pictures. The built-in digits have 8 × 8 numbers, which PCA with 100 keeps entirely. "
        "Whether an edit succeeds is judged by a classifier that was trained on the training pictures.\n\n"
    )
    return Section("Projection and editing", method + "\n\n".join(seen), rows)
