"""How long it takes to enlarge a picture of a million pixels, beside a plain script in PyTorch."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genlab.applications.restore import ByModel
from genlab.architectures.mixed import compute_in
from genlab.bench.memory import MEGABYTE, highest
from genlab.bench.page import Row, Section
from genlab.core.condition import SOURCE
from genlab.core.device import precision
from genlab.core.modality import DataSpec, Images
from genlab.core.pictures import Picture
from genlab.recipes.presets import PRESETS
from genlab.recipes.restoration import RestorationRecipe

SIDE, TIMES = 1000, 3
OPTIONS: Mapping[str, Mapping[str, Any]] = {"fsrcnn": {}, "edsr": {"width": 32}}
SPEC = DataSpec(Images(3, 96, 96), {SOURCE: Images(3, 24, 24)})
CPU = torch.device("cpu")


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Measure the processor time of both, and the memory: the tiles first, as a process keeps its highest."""
    torch.set_num_threads(1)
    picture: Picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    models = {}
    for preset, options in OPTIONS.items():
        recipe = replace(PRESETS[preset], **options)
        assert isinstance(recipe, RestorationRecipe)
        models[preset] = recipe.model(SPEC).eval().requires_grad_(False)
    found: dict[str, dict[str, float]] = {}
    for preset, model in models.items():
        compute_in(precision("auto", CPU), model)
        found[preset] = {"ours": _seconds(ByModel(model, SPEC), picture), "ours_megabytes": highest() / MEGABYTE}
    for preset, model in models.items():
        compute_in(torch.float32, model)
        found[preset] |= {"plain": _seconds(_plainly(model), picture), "plain_megabytes": highest() / MEGABYTE}
    return {"models": found}


def _plainly(model: Any) -> Callable[[Picture], Picture]:  # noqa: ANN401 (a module that restores)
    def restored(picture: Picture) -> Picture:
        with torch.no_grad():
            made = model.restore({SOURCE: torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1})
        pixels: Picture = ((made[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        return pixels

    return restored


def _seconds(function: Callable[[Picture], Picture], picture: Picture) -> float:
    """Return the least processor time of some calls."""
    function(picture[:64, :64])
    taken = []
    for _ in range(TIMES):
        began = time.process_time()
        function(picture)
        taken.append(time.process_time() - began)
    return min(taken)


def section(line: Mapping[str, Any]) -> Section:
    """Return times and memory; the aim is half of the time of the script."""
    rows = []
    for preset, its in line["models"].items():
        rows.append(Row(f"{preset}: seconds", its["ours"], "s"))
        rows.append(Row(f"{preset}: seconds of the script", its["plain"], "s"))
        rows.append(Row(f"{preset}: times as fast", its["plain"] / its["ours"], "", 2.0))
        rows.append(Row(f"{preset}: memory of the process", its["ours_megabytes"], "MB"))
        rows.append(Row(f"{preset}: memory with the script", its["plain_megabytes"], "MB"))
    method = (
        f"A picture of {SIDE}×{SIDE} pixels ×4, on one core: `genlab upscale` in tiles and in the precision of "
        "this processor, without reading and writing files; and a script that passes the whole picture through "
        f"the same network in float32. The least of {TIMES} times."
    )
    return Section("Speed of upscaling", method, rows)
