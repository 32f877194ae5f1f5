"""`context-encoder` on CIFAR-10: a hole of 16×16 in the centre of 32×32 pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import genlab
from budget import train_for
from genlab.bench.page import Row, Section
from holes import ARCHIVE, changed, filled

LEAST = 18.0  # dB in the hole
OPTIONS: Mapping[str, Any] = {"width": 48, "discriminator": "patch-34", "discriminator_width": 16, "size": 32}


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train and measure it."""
    trained = train_for(minutes, "context-encoder", runs / "context-encoder", {"data": str(ARCHIVE), **OPTIONS})
    figures = genlab.evaluate(trained.folder, extractor="pixels", checkpoint="last", device="cpu").figures
    into = runs / f"filled-{len(list(runs.glob('filled-*.csv')))}"
    given = filled(trained.folder, into, runs, "inpainting")
    return {
        "steps": trained.steps,
        "megabytes": trained.megabytes,
        "figures": [figure.values() for figure in figures],
        "changed": changed(given, into),
    }


def section(line: Mapping[str, Any]) -> Section:
    """Return its figures."""
    rows = []
    for figure in line["figures"]:
        name, unit = figure["name"], "dB" if "psnr" in figure["name"] else ""
        if name in ("hole_psnr", "hole_l1", "translation_psnr", "translation_l1"):
            rows.append(Row(name, figure["value"], unit, LEAST if name == "hole_psnr" else None, digits=4))
        if name in ("hole_psnr", "hole_l1"):
            rows.append(Row(f"{name} of harmonic filling", figure["floor"], unit, digits=4))
    rows.append(Row("known numbers that changed in 64 pictures", line["changed"], "", most=0))
    method = (
        f"{line['steps']:,} steps in {line['minutes']:g} minutes of one core, at most "
        f"{line['megabytes']:,.0f} MB. Held-out pictures of CIFAR-10, hole in the centre; the figures of `hole_` "
        "are of missing pixels alone."
    )
    shown = "![hole, harmonic filling, filled](restoration/restoration-inpainting.png)"
    return Section("`context-encoder`", f"{method}\n\n{shown}", rows)
