"""Super-resolution ×4: its data, how a preset is trained for some minutes, and how it is measured on Set5."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import genlab
from budget import train_for
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.core.pictures import Picture
from genlab.metrics.restoration import likeness

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "super-resolution.zip"
SCALE = 4
PUBLISHED: Mapping[str, float] = {
    "bicubic": 28.42,
    "srcnn": 30.48,
    "fsrcnn": 30.72,
    "edsr": 32.46,
}  # PSNR_Y of Set5
DIGITS = 4


def unpacked(runs: Path) -> Path:
    """Return a folder with `train` and `set5`, unpacked beside the runs unless it is there."""
    place = runs.parent / "super-resolution"
    if not (place / "complete").exists():
        with zipfile.ZipFile(ARCHIVE) as archive:
            for name in archive.namelist():
                parts = Path(name).parts
                of_test = "set5" in parts
                if name.endswith("/") or not ({"set5", "yang91", "bsd200"} & set(parts)):
                    continue
                path = place.joinpath("set5" if of_test else f"train/{parts[-2]}", parts[-1])
                path.parent.mkdir(parents=True, exist_ok=True)
                replace(path, archive.read(name))
        (place / "complete").touch()
    return place


def bicubic(runs: Path) -> dict[str, float]:
    """Return the mean measures of bicubic interpolation of the pictures of Set5."""
    found: dict[str, list[float]] = {}
    for path in sorted((unpacked(runs) / "set5").iterdir()):
        with Image.open(path) as file:
            whole = file.convert("RGB")
        width, height = (side // SCALE * SCALE for side in whole.size)
        truth = whole.crop((0, 0, width, height))
        small = truth.resize((width // SCALE, height // SCALE), Image.Resampling.BICUBIC)
        made = small.resize((width, height), Image.Resampling.BICUBIC)
        ours, theirs = (_images(np.asarray(picture)) for picture in (made, truth))
        for name, value in likeness(ours, theirs, SCALE).items():
            found.setdefault(name, []).append(value.item())
    return {name: float(np.mean(values)) for name, values in found.items()}


def _images(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 127.5 - 1


def measured(preset: str, options: Mapping[str, Any], runs: Path, minutes: float) -> dict[str, Any]:
    """Train a preset for some minutes of one core; return its figures on Set5, with and without the ensemble."""
    place = unpacked(runs)
    trained = train_for(minutes, preset, runs / preset, {"data": str(place / "train"), "patches": 96, **options})
    figures = genlab.evaluate(trained.folder, data=str(place / "set5"), checkpoint="last", device="cpu").figures
    done = genlab.upscale(
        trained.folder,
        _reduced(place),
        truth=place / "set5",
        out=runs / f"out-{len(list(runs.glob('out-*.png')))}",
        ensemble=True,
        checkpoint="last",
        device="cpu",
    )
    replace(runs / f"restoration-{runs.name}.png", done.picture_path.read_bytes())
    return {
        "steps": trained.steps,
        "megabytes": trained.megabytes,
        "figures": [figure.values() for figure in figures],
        "ensemble": done.means["restored_psnr_y"],
    }


def _reduced(place: Path) -> Path:
    """Return a folder with the pictures of Set5, reduced."""
    folder = place / "set5-reduced"
    folder.mkdir(exist_ok=True)
    for path in (place / "set5").iterdir():
        with Image.open(path) as file:
            whole = file.convert("RGB")
        width, height = (side // SCALE for side in whole.size)
        part = whole.crop((0, 0, width * SCALE, height * SCALE))
        part.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{path.stem}.png")
    return folder


def section(title: str, line: Mapping[str, Any], least: float) -> Section:
    """Return the figures of a model, each with that of bicubic interpolation; the aim is a PSNR of the luma."""
    rows = []
    for figure in line["figures"]:
        name, unit = figure["name"], "dB" if "psnr" in figure["name"] else ""
        rows.append(Row(name, figure["value"], unit, least if name == "psnr_y" else None, digits=DIGITS))
        rows.append(Row(f"{name} of bicubic interpolation", figure["floor"], unit, digits=DIGITS))
    rows.append(Row("psnr_y of the ensemble", line["ensemble"], "dB", digits=DIGITS))
    published = ", ".join(f"{name} {value}" for name, value in PUBLISHED.items())
    method = (
        f"{line['steps']:,} steps in {line['minutes']:g} minutes of one core, at most {line['megabytes']:,.0f} "
        f"MB. Set5 ×{SCALE}: `genlab evaluate RUN --data set5/`, and `genlab upscale --ensemble`. Published PSNR "
        f"of the luma: {published}."
    )
    shown = f"![bicubic, restored by the ensemble, original](restoration/restoration-{line['task']}.png)"
    return Section(title, f"{method}\n\n{shown}", rows)
