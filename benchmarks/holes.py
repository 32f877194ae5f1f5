"""CIFAR-10 with holes of 16×16 pixels: the pictures that benchmarks of inpainting fill."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import genlab
from genlab.core.files import replace

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "cifar10.zip"
BOX = (8, 8, 16, 16)  # left, top, width, height


def pictures(runs: Path, count: int) -> Path:
    """Return a folder with held-out pictures of all classes, written unless it is there."""
    folder = runs / f"pictures-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    split = genlab.data(str(ARCHIVE), size=32).source.held_out
    rows = np.random.default_rng(0).permutation(len(split))[:count]
    for row, x in zip(rows.tolist(), split.batch(rows).x, strict=True):
        pixels = ((x + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / f"{row:05d}.png")
    return folder


def hole() -> NDArray[np.bool_]:
    """Return where pixels are missing, (32, 32)."""
    left, top, width, height = BOX
    missing = np.zeros((32, 32), np.bool_)
    missing[top : top + height, left : left + width] = True
    return missing


def read(path: Path) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3)."""
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def as_image(picture: NDArray[np.uint8]) -> Tensor:
    """Return a picture as an image (3, H, W) in [-1, 1]."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1) / 127.5 - 1


def filled(folder: Path, into: Path, runs: Path, task: str, **options: Any) -> Path:  # noqa: ANN401 (of the verb)
    """Fill the holes of pictures by a run, keep the picture of the first ones for the page; return the folder."""
    given = pictures(runs.parent, 8 if "number" in options else 64)
    done = genlab.inpaint(
        folder, given, box=",".join(map(str, BOX)), out=into, checkpoint="last", device="cpu", **options
    )
    replace(runs / f"restoration-{task}.png", done.picture_path.read_bytes())
    return given


def changed(given: Path, into: Path) -> int:
    """Return how many numbers outside the holes differ between pictures and their fills."""
    known, count = ~hole(), 0
    for path in given.iterdir():
        for made in into.glob(f"{path.stem}*.png"):
            count += int((read(made)[known] != read(path)[known]).sum())
    return count
