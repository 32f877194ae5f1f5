"""Restoration that has to look right: srgan beside edsr, and colorization beside grey.

The pictures are `shared/data/super-resolution.zip` and `cifar10.zip` beside the repository. The last pictures of
BSD200 are held out, and their middle is reduced from 256 to 64 pixels.
"""

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import genlab
from budget import train_for
from genlab.architectures.superres import enlarged
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.core.pictures import Picture, png, table, to_bytes
from genlab.core.pixels import LUMA, to_lab
from genlab.core.random import Draws, generator
from genlab.data.degradations import chain
from genlab.metrics.perceptual import perceptual
from genlab.metrics.similarity import psnr
from genlab.runs.data import open_recorded
from genlab.runs.extractors import find_extractor
from genlab.runs.recorded import plan_of
from genlab.training.run_folder import RunFolder

SHARED = Path(__file__).parents[2] / "shared" / "data"
SCALE, SIDE = 4, 256
HELD_OUT = 20  # pictures of BSD200
EXTRACTOR = "efficientnet-lite0@256"
LESS, LOST = -30.0, 2.5  # percent of the perceptual distance of edsr, and dB: the aims
ALPHAS = (0.5, 1.0)
COLOURED = 300  # pictures of CIFAR-10
SHOWN, ENLARGED = 4, 3  # rows of pictures, and times that those of CIFAR-10 are enlarged
NETWORK: Mapping[str, Any] = {"width": 32, "patches": 96, "batch_size": 8, "flip": True}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "edsr": NETWORK,
    "srgan": {
        **NETWORK,
        "discriminator": "patch-34",
        "discriminator_width": 32,
        "pretraining": 0.8,  # of the steps, a third of the time
        "lr": 2e-4,
        "discriminator_lr": 2e-4,
    },
    "colorization": {"size": 32, "batch_size": 64, "flip": True},
}
SHARES: Mapping[str, float] = {"edsr": 0.35, "srgan": 0.45, "colorization": 0.2}  # of the time
Way: TypeAlias = Callable[[Tensor], Tensor]


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train the three models, together for some minutes of one core, and measure them."""
    data = {**dict.fromkeys(("edsr", "srgan"), pictures(runs)), "colorization": SHARED / "cifar10.zip"}
    trained = {
        preset: train_for(share * minutes, preset, runs / preset, {"data": str(data[preset]), **OPTIONS[preset]})
        for preset, share in SHARES.items()
    }
    steps = {preset: {"steps": run.steps, "minutes": SHARES[preset] * minutes} for preset, run in trained.items()}
    return {
        "trained": steps,
        "sharp": sharpness(runs, trained["edsr"].folder, trained["srgan"].folder),
        "colours": colours(runs, trained["colorization"].folder),
    }


def pictures(runs: Path) -> Path:
    """Return the folder of the pictures to train on; those that are held out are beside it."""
    place = runs / "pictures"
    if not (place / "held-out").is_dir():
        with zipfile.ZipFile(SHARED / "super-resolution.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".png") and "set5" not in name)
            held_out = [name for name in names if "bsd200" in name][-HELD_OUT:]
            for name in [*(name for name in names if name not in held_out), *held_out]:
                folder = place / ("held-out" if name in held_out else "train")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / Path(name).name).write_bytes(archive.read(name))
    return place / "train"


def sharpness(runs: Path, edsr: Path, srgan: Path) -> dict[str, Any]:
    """Return the mean measures of each way to enlarge the held-out pictures; show some."""
    ways: dict[str, Way] = {"bicubic": lambda small: enlarged(small, SCALE).clamp(-1, 1)}
    ways["edsr"] = _restoring(genlab.load(edsr, checkpoint="last"))
    for alpha in ALPHAS:
        ways[f"srgan, α = {alpha:g}"] = _restoring(genlab.load(srgan, checkpoint="last", alpha=alpha))
    extractor = find_extractor(EXTRACTOR, torch.device("cpu"))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    shown: list[list[Picture]] = []
    for path in sorted((runs / "pictures" / "held-out").glob("*.png")):
        true = _middle(path)
        small = chain((f"bicubic={SCALE}",))(true, Draws(generator(0), 1))["source"]
        made = {name: _as_saved(way(small)) for name, way in ways.items()}
        for name, images in made.items():
            inner = [_luma(each)[..., SCALE:-SCALE, SCALE:-SCALE] for each in (images, true)]
            found[name].append(
                {
                    "psnr": psnr(*inner).item() - 20 * math.log10(219 / 255),
                    "perceptual": perceptual(extractor, images, true).item(),
                    "detail": (images.diff(dim=-1).abs().mean() / true.diff(dim=-1).abs().mean()).item(),
                }
            )
        shown.append([to_bytes(images)[0] for images in (*made.values(), true)])
    replace(runs / "sharpness.png", png(table(shown[:SHOWN], [*ways, "original"])))
    return {name: _mean(rows) for name, rows in found.items()}


def colours(runs: Path, run: Path) -> dict[str, Any]:
    """Return the mean measures of grey and of coloured held-out pictures of CIFAR-10; show some."""
    model, folder = genlab.load(run, checkpoint="last"), RunFolder(run)
    part = open_recorded(folder, plan_of(folder).settings, quiet=True).held_out
    batch = part.batch(np.linspace(0, len(part) - 1, COLOURED).astype(np.int64))
    grey, true = batch.condition["source"], batch.x
    made = {"grey": grey, "colorization": _as_saved(_restoring(model)(grey))}
    found = {}
    for name, images in made.items():
        (light, *_), (kept, *_) = (to_lab(each).unbind(1) for each in (images, grey))
        ab, wanted = to_lab(images)[:, 1:], to_lab(true)[:, 1:]
        found[name] = {
            "psnr": psnr(images, true).mean().item(),
            "distance": (ab - wanted).norm(dim=1).mean().item(),
            "chroma": (ab.norm(dim=1).mean() / wanted.norm(dim=1).mean()).item(),
            "lightness": (light - kept).abs().max().item(),
        }
    shown = [
        [
            to_bytes(images[at : at + 1])[0].repeat(ENLARGED, 0).repeat(ENLARGED, 1)
            for images in (*made.values(), true)
        ]
        for at in range(2 * SHOWN)
    ]
    replace(runs / "colours.png", png(table(shown, [*made, "original"])))
    return found


def section(line: Mapping[str, Any]) -> Section:
    """Return what sharpness gains and costs, and how near colours are to the true ones."""
    sharp, found = line["sharp"], line["colours"]
    edsr, srgan = sharp["edsr"], sharp["srgan, α = 1"]
    against = 100 * (srgan["perceptual"] / edsr["perceptual"] - 1)
    rows = [
        Row("srgan: perceptual distance against edsr", against, "%", most=LESS),
        Row("srgan: PSNR lost against edsr", edsr["psnr"] - srgan["psnr"], "dB", most=LOST),
    ]
    for name, means in sharp.items():
        rows += [
            Row(f"{name}: PSNR of the luma", means["psnr"], "dB"),
            Row(f"{name}: perceptual distance", means["perceptual"], ""),
            Row(f"{name}: detail, relative to the original", means["detail"], ""),
        ]
    coloured, grey = found["colorization"], found["grey"]
    rows += [
        Row("colorization: distance in a and b", coloured["distance"], "", most=grey["distance"]),
        Row("grey: distance in a and b", grey["distance"], ""),
        Row("colorization: PSNR", coloured["psnr"], "dB", least=grey["psnr"]),
        Row("grey: PSNR", grey["psnr"], "dB"),
        Row("colorization: chroma, relative to the original", coloured["chroma"], ""),
        Row("colorization: largest change of L", coloured["lightness"], ""),
    ]
    trained = "; ".join(
        f"`{preset}`: {its['steps']:,} steps in {its['minutes']:g} minutes of one core"
        for preset, its in line["trained"].items()
    )
    method = (
        f"The middle {SIDE}×{SIDE} pixels of {HELD_OUT} pictures of BSD200 that were held out, reduced to "
        f"{SIDE // SCALE}×{SIDE // SCALE} and enlarged again. PSNR: luma of BT.601 (16-235), a border of {SCALE} "
        f"pixels left out. Perceptual distance: `{EXTRACTOR}`, unit vectors at strides 2 to 32. srgan is trained "
        "in features of the same network, taken at other layers and compared otherwise, so that the distance "
        "favours it; detail, the mean difference of neighbouring pixels, does not. edsr has the same network. "
        f"Colours: {COLOURED} held-out pictures of CIFAR-10 of 32×32 pixels. {trained}."
    )
    shown = (
        "![bicubic, edsr, srgan, original](restoration/sharpness.png)",
        "![grey, coloured, original](restoration/colours.png)",
    )
    return Section("Sharp details and colours", "\n\n".join([method, *shown]), rows)


def _restoring(model: Any) -> Way:  # noqa: ANN401 (a model that restores)
    return lambda source: model.restore({"source": source})


def _middle(path: Path) -> Tensor:
    """Return the middle of a picture, (1, 3, `SIDE`, `SIDE`) in [-1, 1]."""
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
    part = pixels[top : top + SIDE, left : left + SIDE]
    return torch.from_numpy(np.moveaxis(part, 2, 0).astype(np.float32))[None] / 127.5 - 1


def _as_saved(images: Tensor) -> Tensor:
    return ((images + 1) * 127.5).round() / 127.5 - 1


def _luma(images: Tensor) -> Tensor:
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
