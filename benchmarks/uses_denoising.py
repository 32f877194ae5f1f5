"""Denoising: models beside non-local means, on Fashion-MNIST and on the colour pictures of CIFAR-10.

CIFAR-10 is `shared/data/cifar10.zip` beside the repository; without it only Fashion-MNIST is measured.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import genlab
from budget import train_for
from genlab.applications.denoise import BYTE, STRENGTH, Noisy, non_local_means
from genlab.bench.page import Row, Section
from genlab.core.files import replace
from genlab.core.pictures import Picture, png, to_bytes
from genlab.core.random import generator
from genlab.metrics.similarity import psnr
from genlab.runs.data import open_recorded
from genlab.runs.recorded import plan_of
from genlab.training.run_folder import RunFolder

SIDE, COUNT = 32, 500  # pixels, and held-out pictures
SIGMAS = (25, 50)
STRENGTHS = (0.6, STRENGTH, 1.0)  # h/sigma of non-local means, of which the best is taken
AHEAD = 2.0  # dB
BEST = "dncnn"
CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10.zip"
DATA: Mapping[str, str] = {"fashion-mnist": "fashion-mnist", "cifar10": str(CIFAR10)}
SHARES: Mapping[tuple[str, str], float] = {  # of the time
    ("fashion-mnist", BEST): 0.35,
    ("fashion-mnist", "velocity-diffusion"): 0.18,
    ("fashion-mnist", "denoising-autoencoder"): 0.04,
    ("fashion-mnist", "conv-vae"): 0.04,
    ("cifar10", BEST): 0.25,
    ("cifar10", "velocity-diffusion"): 0.14,
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    BEST: {"corruption_level": 0.22},  # noise up to 56 of 255
    "velocity-diffusion": {"width": 32, "batch_size": 32, "lr_schedule": "cosine", "lr": 1e-3, "ema": 0.999},
}


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train all models, together for some minutes of one core, and measure them."""
    found: dict[str, Any] = {}
    for (name, preset), share in SHARES.items():
        if name == "cifar10" and not CIFAR10.is_file():
            continue
        options = {"data": DATA[name], "size": SIDE, **OPTIONS.get(preset, {})}
        trained = train_for(share * minutes, preset, runs / f"{name}-{preset}", options)
        clean = held_out(trained.folder)
        figures = found.setdefault(name, {"models": {}, "baseline": baselines(clean)})
        figures["models"][preset] = {
            "minutes": share * minutes,
            "steps": trained.steps,
            "added": {sigma: _added(trained.folder, clean, sigma, runs) for sigma in SIGMAS},
        }
        if preset == BEST:
            figures["files"] = {sigma: _of_files(trained.folder, clean, sigma, runs / name) for sigma in SIGMAS}
    return {"data": found}


def held_out(place: Path) -> torch.Tensor:
    """Return some of the held-out pictures of a run, evenly spread, (N, C, H, W) in [-1, 1]."""
    folder = RunFolder(place)
    part = open_recorded(folder, plan_of(folder).settings, quiet=True).held_out
    return part.batch(np.linspace(0, len(part) - 1, min(COUNT, len(part))).astype(np.int64)).x


def baselines(clean: torch.Tensor) -> dict[int, float]:
    """Return the mean PSNR of non-local means at each noise level, with the best of its strengths."""
    found = {}
    for sigma in SIGMAS:
        means = []
        for strength in STRENGTHS:
            values = []
            for at, picture in enumerate(clean):
                noise = torch.randn(picture.shape, generator=generator(0, "added noise", str(at)))
                made = non_local_means(Noisy(str(at), picture + BYTE * sigma * noise, sigma), strength)
                assert made is not None, 'pip install "genlab[uses]"'
                values.append(psnr(_floats(made)[None], picture[None]).item())
            means.append(sum(values) / len(values))
        found[sigma] = max(means)
    return found


def _added(run: Path, clean: torch.Tensor, sigma: int, runs: Path) -> dict[str, float]:
    """Return the measures with noise that is added, not clipped, and of known strength."""
    pictures = to_bytes(clean)
    place = runs / "out" / f"{run.name}-{sigma}"
    done = genlab.denoise(run, pictures, add_noise=sigma, sigma=sigma, out=_fresh(place), checkpoint="last")
    replace(runs / f"denoising-{run.name}-{sigma}.png", done.picture_path.read_bytes())
    return dict(done.means)


def _of_files(run: Path, clean: torch.Tensor, sigma: int, data: Path) -> dict[str, float]:
    """Return the measures with pictures that were written with noise, so clipped, of unknown strength."""
    for at, picture in enumerate(clean):
        noise = torch.randn(picture.shape, generator=generator(0, "added noise", str(at)))
        _put(data / "clean" / f"{at}.png", to_bytes(picture[None])[0])
        _put(data / str(sigma) / f"{at}.png", to_bytes((picture + BYTE * sigma * noise)[None])[0])
    out = _fresh(data / f"out-{sigma}")
    return dict(genlab.denoise(run, data / str(sigma), truth=data / "clean", out=out, checkpoint="last").means)


def _fresh(place: Path) -> Path:
    """Return a folder that does not exist yet, as the results of an interrupted benchmark may be there."""
    number = sum(1 for _ in place.parent.glob(f"{place.name}*")) if place.parent.is_dir() else 0
    return place.with_name(f"{place.name}-{number}")


def _put(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, png(picture))


def _floats(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(picture, 2, 0).astype(np.float32)) / 127.5 - 1


def section(line: Mapping[str, Any]) -> Section:
    """Return the PSNR of each data set and noise level; the aim is 2 dB above non-local means."""
    rows, trained = [], []
    for name, found in line["data"].items():
        for preset, model in found["models"].items():
            trained.append(
                f"`{preset}` on {name}: {model['steps']:,} steps in {model['minutes']:g} minutes of one core"
            )
        for sigma in map(str, SIGMAS):
            measured = {preset: _by(model["added"], sigma) for preset, model in found["models"].items()}
            baseline, what = _by(found["baseline"], sigma), f"{name}, σ = {sigma}"
            for preset, means in measured.items():
                least = baseline + AHEAD if preset == BEST else None
                rows.append(Row(f"{what}: {preset}", means["denoised_psnr"], "dB", least))
            rows.append(Row(f"{what}: non-local means", baseline, "dB"))
            rows.append(Row(f"{what}: noisy", next(iter(measured.values()))["noisy_psnr"], "dB"))
            files = _by(found["files"], sigma)
            rows.append(Row(f"{what}, from files: {BEST}", files["denoised_psnr"], "dB"))
            rows.append(Row(f"{what}, from files: non-local means", files["non_local_means_psnr"], "dB"))
    method = (
        f"`genlab denoise RUN DATA --add-noise σ --sigma σ`: PSNR of {COUNT} held-out pictures of {SIDE}×{SIDE} "
        "pixels. The noise is not clipped; non-local means knows its strength and has the best of three values "
        "of h. From files: the noisy pictures are PNGs, which clips the noise, its strength is estimated, and "
        f"h = {STRENGTH:g}σ. The diffusion model takes one pass, the posterior mean. {'; '.join(trained)}."
    )
    shown = [
        f"![{name}: noisy, non-local means, denoised, clean](uses/denoising-{name}-{BEST}-50.png)"
        for name in line["data"]
    ]
    return Section("Denoising", "\n\n".join([method, *shown]), rows)


def _by(values: Mapping[Any, Any], sigma: str) -> Any:  # noqa: ANN401 (a number or measures)
    """Return the value of a noise level; in JSON it has become text."""
    return values[sigma] if sigma in values else values[int(sigma)]
