"""RePaint with a diffusion model of CIFAR-10: eight fills of each hole of 16×16 pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from budget import train_for
from genlab.bench.page import Row, Section
from genlab.metrics.holes import harmonic_fill, hole_psnr
from holes import ARCHIVE, as_image, changed, filled, hole, read

DRAWS = 8
CALIBRATED = (DRAWS - 1) / (DRAWS + 1)  # of draws from the right distribution, the truth lies between two so often
OPTIONS: Mapping[str, Any] = {"width": 32, "size": 32, "ema": 0.999}


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train and measure it."""
    trained = train_for(
        minutes, "velocity-diffusion", runs / "velocity-diffusion", {"data": str(ARCHIVE), **OPTIONS}
    )
    into = runs / f"filled-{len(list(runs.glob('filled-*.csv')))}"
    given = filled(trained.folder, into, runs, "repaint", number=DRAWS, resampling=5)
    missing = torch.from_numpy(hole())[None, None]
    covered, apart, error, mean, floor = [], [], [], [], []
    for path in sorted(given.iterdir()):
        truth = as_image(read(path))[None]
        draws = torch.stack([as_image(read(into / f"{path.stem}-{at + 1}.png")) for at in range(DRAWS)])
        within = (truth >= draws.amin(0)) & (truth <= draws.amax(0))
        inside = missing.expand_as(truth)
        covered.append(within[inside].float().mean().item())
        apart.append((draws[:-1] - draws[1:]).abs()[:, inside[0]].mean().item())
        error.append((draws - truth).abs()[:, inside[0]].mean().item())
        mean.append(hole_psnr(draws.mean(0, keepdim=True), truth, missing).item())
        floor.append(hole_psnr(harmonic_fill(truth, missing), truth, missing).item())
    found = {"covered": covered, "apart": apart, "error": error, "mean_psnr": mean, "harmonic_psnr": floor}
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return {
        "steps": trained.steps,
        "megabytes": trained.megabytes,
        **means,
        "changed": changed(given, into),
    }


def section(line: Mapping[str, Any]) -> Section:
    """Return its figures."""
    rows = [
        Row("share of missing numbers that lie between two of 8 draws", line["covered"], ""),
        Row("the same of draws from the right distribution", CALIBRATED, ""),
        Row("mean difference of two draws, in [-1, 1]", line["apart"], ""),
        Row("mean difference of a draw and the truth", line["error"], ""),
        Row("hole_psnr of the mean of 8 draws", line["mean_psnr"], "dB", digits=4),
        Row("hole_psnr of harmonic filling", line["harmonic_psnr"], "dB", digits=4),
        Row("known numbers that changed", line["changed"], "", most=0),
    ]
    method = (
        f"`velocity-diffusion --width 32`, {line['steps']:,} steps in {line['minutes']:g} minutes of one core, "
        "which has learned nothing of holes. `genlab inpaint --number 8 --resampling 5` of 8 held-out pictures."
    )
    shown = "![hole, harmonic filling, eight fills](restoration/restoration-repaint.png)"
    return Section("RePaint", f"{method}\n\n{shown}", rows)
