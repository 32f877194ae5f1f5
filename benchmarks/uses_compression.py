"""Compression: compressive autoencoders beside other codecs, on pictures that never were JPEG."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import genlab
from budget import train_for
from genlab.applications.rate_distortion import MODEL, Point, at_rate
from genlab.bench.page import Row, Section
from genlab.core.files import replace

SIDE, COUNT = 32, 6000
RATES = (0.2, 0.3, 0.4, 0.5)  # bits per pixel
RIVALS, OTHERS = ("JPEG", "WebP"), ("AVIF", "JPEG 2000")
SHARES: Mapping[str, float] = {"fashion-mnist": 0.6, "digits": 0.15, "discs": 0.25}  # of the time
PRESET = "compressive-autoencoder"
Bytes = npt.NDArray[np.uint8]


def measure(runs: Path, minutes: float) -> dict[str, Any]:
    """Train a model for each data set, all together for some minutes of one core, and measure the codecs."""
    found: dict[str, Any] = {}
    for name, share in SHARES.items():
        data = discs_file(runs / "data") if name == "discs" else name
        trained = train_for(share * minutes, PRESET, runs / f"compression-{name}", {"data": data, "size": SIDE})
        place = runs / f"compression-{name}.glz"
        curve = genlab.compress(trained.folder, data, out=place, curve=True, checkpoint="last").curve
        assert curve
        found[name] = {**curve.values(), "steps": trained.steps, "minutes": share * minutes}
    return {"data": found}


def section(line: Mapping[str, Any]) -> Section:
    """Return the PSNR of each data set at several rates; the aim is that of the better one of JPEG and WebP."""
    rows, trained = [], []
    for name, found in line["data"].items():
        points = [Point(**{**point, "ssim": point["ssim"] or float("nan")}) for point in found["points"]]
        trained.append(f"{name}: {found['steps']:,} steps in {found['minutes']:g} minutes of one core")
        for rate in RATES:
            what = f"{name}, at most {rate:g} bits per pixel"
            known = {codec: at_rate(points, codec, rate) for codec in (MODEL, *RIVALS, *OTHERS)}
            least = max((known[rival] or 0.0 for rival in RIVALS), default=0.0)
            rows += [Row(f"{what}: {PRESET}", known[MODEL] or 0.0, "dB", least or None)]
            rows += [
                Row(f"{what}: {codec}", value, "dB") for codec in (*RIVALS, *OTHERS) if (value := known[codec])
            ]
    method = (
        f"`genlab train {PRESET}`, then `genlab compress RUN DATA --curve`: PSNR of held-out pictures, at most "
        f"1,000 of {SIDE}×{SIDE} pixels, in sheets of 100, so that every codec writes its headers once in 100 "
        "pictures. The names of the pictures count for the model, its weights do not. A codec without a row "
        f"cannot make so small a file. Discs are drawn in colour by this benchmark. {'; '.join(trained)}."
    )
    return Section("Compression", method, rows)


def discs_file(folder: Path) -> str:
    """Return the path of an .npz of discs, which is written if it is missing."""
    path = folder / "discs.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        np.savez_compressed(stream, images=discs(COUNT))
        replace(path, stream.getvalue())
    return str(path)


def discs(count: int, seed: int = 0) -> Bytes:
    """Draw pictures (count, SIDE, SIDE, 3): three soft discs on a background that changes its colour."""
    draws = np.random.default_rng(seed)
    at = (np.arange(SIDE) + 0.5) / SIDE
    ends = draws.uniform(0, 255, (count, 2, 1, 1, 3))
    share = at[None, :, None, None]
    pictures = np.broadcast_to(ends[:, 0] * (1 - share) + ends[:, 1] * share, (count, SIDE, SIDE, 3)).copy()
    for _ in range(3):
        row, column, radius = draws.uniform((0, 0, 0.1), (1, 1, 0.35), (count, 3)).T[:, :, None, None]
        colour = draws.uniform(0, 255, (count, 1, 1, 3))
        distance = np.hypot(at[None, :, None] - row, at[None, None, :] - column)
        inside = np.clip((radius - distance) * SIDE + 0.5, 0, 1)[..., None]
        pictures += inside * (colour - pictures)
    return np.rint(pictures).astype(np.uint8)
