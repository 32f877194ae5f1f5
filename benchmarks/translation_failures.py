"""Translations that fail for a known reason, and healthy ones, to test the doctor on.

All pictures are 16 pixels wide, those of the checkerboards 32. Thresholds are tuned on the even seeds and results
reported on the odd ones.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from failures import Case
from genlab.data.dataset import Split
from genlab.data.source import open_source
from induced import Cause, Trial
from small_translators import Hiding, Shallow

SIDE, LARGE = 16, 32
PARTS = ("testA", "testB", "trainA", "trainB")  # classes of the archive of horses, in order
TRAINED, HELD_OUT = 600, 200
BASE: Mapping[str, Any] = {"size": SIDE, "width": 8, "batch_size": 16, "steps": 300, "lr": 1e-3}
PATCHES: Mapping[str, Any] = {"discriminator": "patch-16"}
RESNET: Mapping[str, Any] = {**PATCHES, "architecture": "resnet", "blocks": 2}
OPTIONS: Mapping[str, Mapping[str, Any]] = {  # of presets, beside BASE
    "pix2pix": PATCHES,
    "cyclegan": {**RESNET, "steps": 200},
    "cut": {**RESNET, "blocks": 1, "positions": 64, "steps": 200},
    "stargan": {"blocks": 1, "discriminator_steps": 1, "steps": 220, "lr": 5e-4},
    "dcgan": {"size": LARGE, "width": 16, "lr": 2e-4},
    "lsgan": {"size": LARGE, "width": 16, "lr": 2e-4},
    "dcgan-upsample": {"size": LARGE, "width": 16, "lr": 2e-4},
    "sngan": {"size": LARGE, "width": 8, "discriminator_steps": 1, "lr": 2e-4},
    "conv-vae": {"size": LARGE},
}
DUSK = (0.7, 0.5, 0.3)  # what is left of red, green and blue
Pictures = npt.NDArray[np.uint8]


COPIES: Mapping[str, Any] = {"architecture": Shallow, "blocks": None}
HIDDEN: Mapping[str, Any] = {"architecture": Hiding, "blocks": None, "identity_weight": 0.0, "steps": 400}
CAUSES: Mapping[str, Sequence[Cause]] = {
    "does nothing": (
        Cause("cyclegan", "dusk", {**COPIES, "identity_weight": 20.0, "steps": 300}),
        Cause("cyclegan", "dusk", {**COPIES, "discriminator_lr": 1e-7, "steps": 300}),
        Cause("cyclegan", "horses", COPIES),
    ),
    "colours inverted": (
        Cause("pix2pix", "digits", corruption="inverted targets"),
        Cause("cyclegan", "negatives", COPIES),
    ),
    "hidden cycle": (
        Cause("cyclegan", "mosaics", HIDDEN),
        Cause("cyclegan", "mosaics", {**HIDDEN, "cycle_weight": 20.0}),
    ),
    "source ignored": (
        Cause("pix2pix", "digits", {"l1": 0.0, "discriminator_lr": 5e-2}),
        Cause("pix2pix", "negatives", {"l1": 0.0, "discriminator_lr": 5e-2}),
    ),
    "domain ignored": (
        Cause("stargan", "tints", {"classification_weight": 0.0}),
        Cause("stargan", "tinted photos", {"classification_weight": 0.0}),
    ),
    "checkerboard": (
        Cause("dcgan", "photos"),
        Cause("lsgan", "faces"),
        Cause("dcgan", "faces"),
    ),
    "mismatched pairs": (
        Cause("pix2pix", "digits", {"steps": 20}, "shuffled pairs"),
        Cause("pix2pix", "colours", {"steps": 20}, "off by one"),
        Cause("pix2pix", "mosaics", {"steps": 20}, "reversed order"),
    ),
}
NEEDED = {
    "colours": "cifar10",
    "dusk": "cifar10",
    "negatives": "cifar10",
    "mosaics": "cifar10",
    "photos": "cifar10",
    "tinted photos": "cifar10",
    "horses": "horses",
    "faces": "faces",
}
EXPECTED: Mapping[str, Sequence[str]] = {
    "does nothing": ("does-nothing", "unbalanced-updates"),  # one of the causes is a discriminator without updates
    "colours inverted": ("colours-inverted",),
    "hidden cycle": ("hidden-cycle",),
    "source ignored": ("source-ignored", "learning-rate-too-high"),  # which is the cause
    "domain ignored": ("domain-ignored",),
    "checkerboard": ("checkerboard",),
    "mismatched pairs": ("pairs-do-not-match",),
}
HEALTHY_RUNS = (
    Cause("pix2pix", "digits"),
    Cause("pix2pix", "negatives", {"architecture": "resnet", "blocks": 2}),
    Cause("cyclegan", "dusk", COPIES),
    Cause("cyclegan", "horses", {"blocks": 1}),
    Cause("cut", "colours"),
    Cause("pix2pix", "colours", {"size": LARGE, "steps": 240}),
    Cause("conv-vae", "faces"),
    Cause("sngan", "photos"),
    Cause("dcgan-upsample", "faces"),
)


def options_of(case: Case, zips: Mapping[str, str], place: Path) -> dict[str, Any]:
    """Return all options of a case; its pictures are written to a file in `place`.

    Args:
        case: the run.
        zips: the archives that are there, by "cifar10", "horses" and "faces".
        place: an existing folder.
    """
    options = {**BASE, **OPTIONS[case.preset], **case.options}
    path = place / f"{case.name}.npz"
    np.savez(path, **pictures(case, options["size"], zips))
    if case.data in ("horses", "dusk"):
        options["pairs"] = "unaligned"
    return {**options, "data": str(path), "seed": case.seed}


def pictures(case: Case, side: int, zips: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the arrays of a case's pictures."""
    random = np.random.default_rng(case.seed)
    if case.data in ("faces", "photos"):
        train, held_out = halves(zips[NEEDED[case.data]], side, 3, random)
        return {"images": train, "held_out_images": held_out}
    if case.data.startswith("tint"):
        train, held_out = halves(zips.get(NEEDED.get(case.data, ""), "digits"), side, 3, random)
        return _tinted("", train, random) | _tinted("held_out_", held_out, random)
    sides = _sides(case.data, side, zips, random)
    return CORRUPTIONS[case.corruption](sides, random) if case.corruption else sides


def halves(source: str, side: int, channels: int, random: np.random.Generator) -> tuple[Pictures, Pictures]:
    """Return some training and held-out pictures of a source, (N, C, H, W)."""
    opened = open_source(source, size=side, channels=channels)
    train, held_out = opened.train, opened.held_out
    return (
        _some(train, TRAINED, random, np.arange(len(train))),
        _some(held_out, HELD_OUT, random, np.arange(len(held_out))),
    )


def _some(split: Split, count: int, random: np.random.Generator, among: npt.NDArray[np.int64]) -> Pictures:
    rows = random.permutation(among)[:count]
    return np.round((split.batch(rows).x.numpy() + 1) * 127.5).astype(np.uint8)


def _sides(data: str, side: int, zips: Mapping[str, str], random: np.random.Generator) -> dict[str, Pictures]:
    if data == "horses":
        opened = open_source(zips["horses"], size=side).train
        named = {name: np.flatnonzero(opened.labels == label) for label, name in enumerate(PARTS)}
        counts = {"train": TRAINED, "test": HELD_OUT // 2}
        return {name: _some(opened, counts[name[:-1]], random, rows) for name, rows in named.items()}
    channels = 3 if data in ("colours", "dusk") else 1
    both = halves(zips.get(NEEDED.get(data, ""), "digits"), side, channels, random)
    found = {}
    for part, images in zip(("train", "test"), both, strict=True):
        found[f"{part}A"], found[f"{part}B"] = TRANSLATED[data](images)
    return found


def _mosaic(images: Pictures) -> Pictures:
    count, channels, height, width = images.shape
    blocks: Pictures = images.reshape(count, channels, height // 4, 4, width // 4, 4).mean((3, 5)).astype(np.uint8)
    mosaic: Pictures = blocks.repeat(4, 2).repeat(4, 3)
    return mosaic


TRANSLATED: Mapping[str, Callable[[Pictures], tuple[Pictures, Pictures]]] = {
    "digits": lambda images: (255 - np.rot90(images, axes=(2, 3)), images),
    "negatives": lambda images: (images, 255 - images),
    "dusk": lambda images: (images, (images * np.array(DUSK)[:, None, None]).astype(np.uint8)),
    "colours": lambda images: (images, np.roll(images, 1, axis=1)),
    "mosaics": lambda images: (images, _mosaic(images)),
}


def _tinted(part: str, images: Pictures, random: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Return pictures, each in one of three colours, and in which."""
    labels = random.integers(3, size=len(images))
    tints = np.full((3, 3), 0.25) + 0.75 * np.eye(3)
    tinted = (images * tints[labels][:, :, None, None]).astype(np.uint8)
    return {f"{part}images": tinted, f"{part}labels": labels}


def _targets(change: Callable[[Pictures], Pictures], parts: Sequence[str]) -> Any:  # noqa: ANN401
    return lambda sides, random: {n: change(x) if n in parts else x for n, x in sides.items()}


BOTH = ("trainB", "testB")
CORRUPTIONS: Mapping[str, Callable[[dict[str, Pictures], np.random.Generator], dict[str, Pictures]]] = {
    "inverted targets": _targets(lambda x: 255 - x, ["trainB"]),
    "shuffled pairs": lambda sides, random: sides | {name: random.permutation(sides[name]) for name in BOTH},
    "off by one": _targets(lambda x: np.roll(x, 1, 0), BOTH),
    "reversed order": _targets(lambda x: x[::-1], BOTH),
}
TRIAL = Trial(
    CAUSES,
    EXPECTED,
    HEALTHY_RUNS,
    options_of,
    NEEDED,
    {
        "cifar10": "CIFAR-10 in class folders",
        "horses": "trainA, trainB, testA and testB",
        "faces": "pictures of 64 pixels",
    },
)
