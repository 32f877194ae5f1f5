"""Restorations that fail for a known reason, and healthy ones, to test the doctor on.

All pictures and patches are 32 pixels wide.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from failures import Case
from genlab.core.batch import Batch
from genlab.core.condition import MASK, SOURCE
from genlab.core.random import Draws, generator
from genlab.data.dataset import Dataset, IntArray, Source, make_dataset
from genlab.data.degradations import chain
from genlab.data.holes import HOLES
from genlab.data.wrappers import Degraded, Paired
from genlab.recipes.presets import PRESETS
from induced import Cause, Trial
from translation_failures import Pictures, halves

SIDE = 32
WARM = (1, 0.9, 0.75)  # what is left of red, green and blue
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
    "partial-conv": {"lr": 2e-3, "blocks": 3},
    "gated-inpainting": {**AGAINST, "discriminator_lr": 1e-4, "lr": 1e-3, "blocks": 2},
}
UNSEEN: Mapping[str, Any] = {  # the distance is that of known pixels alone
    "hole_weight": 0.0,
    "known_weight": 6.0,
    "perceptual_weight": 0.0,
    "style_weight": 0.0,
}
CAUSES: Mapping[str, Sequence[Cause]] = {
    "worse than bicubic": (
        Cause("fsrcnn", "patches", {"lr": 0.1}),
        Cause("edsr", "photos", corruption="shifted targets"),
    ),
    "colour shift": (
        Cause("edsr", "photos", corruption="brighter targets"),
        Cause("fsrcnn", "faces", corruption="warmer targets"),
        Cause("srgan", "photos", corruption="brighter targets"),
    ),
    "adversary dominates": (
        Cause("srgan", "patches", {"adversarial_weight": 0.1, "pretraining": 0.25}),
        Cause("srgan", "photos", {"pixel_weight": 0.0, "perceptual_weight": 0.0, "pretraining": 0.25}),
        Cause(
            "esrgan",
            "photos",
            {"adversarial_weight": 0.5, "lr": 5e-3, "lr_schedule": "constant", "pretraining": 0.25},
        ),
    ),
    "worse than harmonic": (
        Cause("context-encoder", "photos", {"adversarial_weight": 1.0}),
        Cause("gated-inpainting", "patches", {"hole_weight": 0.0}),
        Cause("partial-conv", "faces", {"lr": 0.5}),
    ),
    "flat filling": (
        Cause("partial-conv", "photos", {"smoothness_weight": 100.0}),
        Cause("context-encoder", "photos", {"lr": 0.3}),
        Cause("gated-inpainting", "photos", {"adversarial_weight": 0.0, "lr": 1e-6}),
    ),
    "visible seam": (
        Cause("partial-conv", "patches", UNSEEN),
        Cause("gated-inpainting", "photos", {"hole_weight": 0.0}),
        Cause("gated-inpainting", "faces", corruption="darker sources"),
        Cause("context-encoder", "faces", {"lr": 1e-5}),
        Cause("context-encoder", "faces", {"pixel_weight": 0.0}),
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
    "flat filling": ("flat-filling", "learning-rate-too-high"),  # which is one of the causes
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
    Cause("gated-inpainting", "faces", {"degrade": ("holes=centre",)}),
    Cause("gated-inpainting", "photos", {"degrade": ("holes=half",)}),
)
NEEDED = {"patches": "natural", "photos": "cifar10", "faces": "faces"}


CHANGES: Mapping[str, Callable[[Pictures], Pictures]] = {  # of the targets of training, whose sources stay
    "shifted targets": lambda x: np.roll(x, (4, 4), (2, 3)),
    "brighter targets": lambda x: np.round(255 * (x / 255) ** 0.7).astype(np.uint8),
    "warmer targets": lambda x: np.round(x * np.array(WARM)[:, None, None]).astype(np.uint8),
}
DARKER = 80 / 255  # 40 grey levels
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
    if case.corruption in CHANGES:
        return {**options, "data": mismatched(case, train, held_out)}
    if case.corruption == "darker sources":
        return {**options, "data": darker(case, train, held_out)}
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
    degrade = PRESETS[case.preset].degradations
    how = chain(degrade)
    sources = [
        how.degraded(np.moveaxis(picture, 0, 2), Draws(generator(case.seed, "mismatch", row), 1))
        for row, picture in enumerate(train)
    ]
    return Source(
        case.name,
        Paired(
            _dataset("targets", CHANGES[case.corruption](train)),
            _dataset("sources", np.moveaxis(np.stack(sources), 3, 1)),
        ),
        Degraded(_dataset("held out", held_out), how, " ".join(degrade), case.seed),
        len(train) + len(held_out),
    )


@dataclass(frozen=True)
class Darker(Degraded):
    """Pictures with holes, whose known pixels come from a darker copy of the picture."""

    def batch(self, index: IntArray, epoch: IntArray | None = None) -> Batch:
        """Return the pictures at `index` with their darker sources and the masks."""
        batch = super().batch(index, epoch)
        source, hole = batch.condition[SOURCE], batch.condition[MASK] > 0
        dark = torch.where(hole, source, (source - DARKER).clamp(min=-1))
        return replace(batch, condition={**batch.condition, SOURCE: dark})


def darker(case: Case, train: Pictures, held_out: Pictures) -> Source:
    """Return pictures whose known pixels are darker than the originals, also in those that are held out."""
    degrade = PRESETS[case.preset].degradations
    splits = [
        Darker(_dataset(name, images), chain(degrade), " ".join(degrade), case.seed)
        for name, images in (("train", train), ("held out", held_out))
    ]
    return Source(case.name, splits[0], splits[1], len(train) + len(held_out))


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
