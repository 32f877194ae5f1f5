"""Restorations that fail for a known reason, and healthy ones, to test the doctor on.

All pictures and patches are 32 pixels wide.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from failures import Case
from genlab.core.random import Draws, generator
from genlab.data.dataset import Dataset, Source, make_dataset
from genlab.data.degradations import chain
from genlab.data.holes import HOLES
from genlab.data.wrappers import Degraded, Paired
from induced import Cause, Trial
from translation_failures import Pictures, halves

SIDE = 32
BASE: Mapping[str, Any] = {"width": 8, "batch_size": 16, "steps": 200}
AGAINST: Mapping[str, Any] = {"discriminator": "patch-16", "discriminator_width": 8, "discriminator_lr": 1e-3}
OPTIONS: Mapping[str, Mapping[str, Any]] = {  # of presets, beside BASE
    "srcnn": {"width": 32, "lr": 1e-3},
    "fsrcnn": {"width": 16},
    "edsr": {"blocks": 2},
    "colorization": {"lr": 1e-3},
    "srgan": {**AGAINST, "blocks": 2, "lr": 1e-3},
    "esrgan": {**AGAINST, "blocks": 1, "lr": 1e-3},
    "context-encoder": {**AGAINST, "width": 16},
    "partial-conv": {"lr": 2e-3, "blocks": 3, "batch_size": 8},
    "gated-inpainting": {**AGAINST, "discriminator_lr": 1e-4, "lr": 2e-3, "blocks": 2, "batch_size": 8},
}
CAUSES: Mapping[str, Sequence[Cause]] = {
    "worse than bicubic": (
        Cause("fsrcnn", "patches", {"lr": 0.1}),
        Cause("edsr", "photos", corruption="noisy sources"),
        Cause("srcnn", "faces", {"lr": 1e-6}),
    ),
    "colour shift": (
        Cause("edsr", "photos", corruption="brighter targets"),
        Cause("fsrcnn", "faces", corruption="warmer targets"),
        Cause("srcnn", "photos", {"lr": 0.03}),
    ),
    "adversary dominates": (
        Cause("srgan", "patches", {"adversarial_weight": 0.1, "pretraining": 0.25}),
        Cause("srgan", "photos", {"pixel_weight": 0.0, "perceptual_weight": 0.0, "pretraining": 0.25}),
        Cause("esrgan", "faces", {"adversarial_weight": 0.5, "pretraining": 0.25}),
    ),
    "worse than harmonic": (
        Cause("context-encoder", "photos", {"pixel_weight": 0.0, "adversarial_weight": 1.0}),
        Cause("gated-inpainting", "patches", {"hole_weight": 0.0}),
        Cause("partial-conv", "faces", {"lr": 0.5}),
    ),
    "flat filling": (
        Cause("partial-conv", "photos", {"smoothness_weight": 100.0}),
        Cause("context-encoder", "faces", {"lr": 1e-5}),
        Cause("gated-inpainting", "photos", {"adversarial_weight": 0.0, "lr": 1e-6}),
    ),
    "visible seam": (
        Cause("context-encoder", "photos", {"adversarial_weight": 1.0}),
        Cause("gated-inpainting", "photos", {"hole_weight": 0.0}),
        Cause("gated-inpainting", "faces", {"degrade": ("grey=1", "holes=centre")}),
    ),
    "mask inverted": (
        Cause("partial-conv", "patches", corruption="inverted masks"),
        Cause("gated-inpainting", "photos", corruption="masks of what is known"),
    ),
}
EXPECTED: Mapping[str, Sequence[str]] = {
    "worse than bicubic": ("worse-than-bicubic",),
    "colour shift": ("colour-shift",),
    "adversary dominates": ("adversary-dominates",),
    "worse than harmonic": ("worse-than-harmonic",),
    "flat filling": ("flat-filling",),
    "visible seam": ("visible-seam",),
    "mask inverted": ("mask-inverted",),
}
HEALTHY_RUNS = (
    Cause("srcnn", "patches"),
    Cause("fsrcnn", "patches"),
    Cause("fsrcnn", "faces"),
    Cause("edsr", "photos"),
    Cause("edsr", "patches", {"degrade": ("blur=0.2:2", "noise=10", "jpeg=40:95")}),
    Cause("colorization", "photos"),
    Cause("srgan", "patches"),
    Cause("esrgan", "faces"),
    Cause("context-encoder", "photos", {"degrade": ("holes=half",)}),
    Cause("context-encoder", "faces"),
    Cause("partial-conv", "photos", {"degrade": ("holes=half",)}),
    Cause("gated-inpainting", "patches", {"degrade": ("holes=centre",)}),
    Cause("gated-inpainting", "faces", {"degrade": ("holes=boxes",)}),
)
NEEDED = {"patches": "natural", "photos": "cifar10", "faces": "faces"}


@dataclass(frozen=True)
class Mismatch:
    """Training sources and targets that do not belong together: another degradation, or changed targets."""

    degrade: Sequence[str] = ()  # before the degradation of the run
    change: Callable[[Pictures], Pictures] = np.copy


MISMATCHES: Mapping[str, Mismatch] = {
    "noisy sources": Mismatch(("noise=60",)),
    "brighter targets": Mismatch(change=lambda x: np.round(255 * (x / 255) ** 0.7).astype(np.uint8)),
    "warmer targets": Mismatch(
        change=lambda x: np.round(x * np.array([1, 0.9, 0.75])[:, None, None]).astype(np.uint8)
    ),
}
MASKS = {"inverted masks": ("holes", 0), "masks of what is known": ("known", 255)}  # the word, and what is missing


def options_of(case: Case, zips: Mapping[str, str], place: Path) -> dict[str, Any]:
    """Return all options of a case; its masks are written to a folder in `place`.

    Args:
        case: the run.
        zips: the archives that are there, by "cifar10", "faces" and "natural".
        place: an existing folder.
    """
    options = {**BASE, **OPTIONS[case.preset], **case.options, "seed": case.seed}
    if case.corruption in MASKS:
        options["degrade"] = (f"{MASKS[case.corruption][0]}={masks(case, place)}",)
    source = zips[NEEDED[case.data]]
    if case.data == "patches":
        return {**options, "data": source, "patches": SIDE}
    train, held_out = halves(source, SIDE, 3, np.random.default_rng(case.seed))
    if case.corruption in MISMATCHES:
        return {**options, "data": mismatched(case, train, held_out)}
    return {**options, "data": {"images": train, "test_images": held_out}}


def masks(case: Case, place: Path) -> Path:
    """Write masks of strokes to a folder, in which the strokes have the grey level of a corruption."""
    folder = place / f"{case.name}-masks"
    folder.mkdir(exist_ok=True)
    missing = MASKS[case.corruption][1]
    for row in range(32):
        hole = HOLES["strokes"](SIDE, SIDE, Draws(generator(case.seed, "masks", row), 1))
        Image.fromarray(np.where(hole, missing, 255 - missing).astype(np.uint8)).save(folder / f"{row}.png")
    return folder


def mismatched(case: Case, train: Pictures, held_out: Pictures) -> Source:
    """Return pictures whose training sources and targets do not belong together; the held-out ones do."""
    from genlab.recipes.presets import PRESETS

    how, degrade = MISMATCHES[case.corruption], PRESETS[case.preset].degradations
    reduced = chain((*how.degrade, *degrade))
    sources = [
        reduced.degraded(np.moveaxis(picture, 0, 2), Draws(generator(case.seed, "mismatch", row), 1))
        for row, picture in enumerate(train)
    ]
    return Source(
        case.name,
        Paired(_dataset("targets", how.change(train)), _dataset("sources", np.moveaxis(np.stack(sources), 3, 1))),
        Degraded(_dataset("held out", held_out), chain(degrade), " ".join(degrade), case.seed),
        len(train) + len(held_out),
    )


def _dataset(name: str, images: Pictures) -> Dataset:
    return make_dataset(name, np.ascontiguousarray(images), None, ())


TRIAL = Trial(
    CAUSES,
    EXPECTED,
    HEALTHY_RUNS,
    options_of,
    NEEDED,
    {"cifar10": "CIFAR-10 in class folders", "faces": "pictures of 64 pixels", "natural": "large photographs"},
)
