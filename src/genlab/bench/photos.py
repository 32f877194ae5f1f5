"""JPEGs that take as long to decode as photographs: smooth noise of all scales, and edges."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 256
_CELLS = (2, 4, 8, 16, 32, 64, 128)  # amplitude falls with frequency, as in photographs


def write_photos(folder: Path, count: int) -> None:
    """Write `count` different JPEGs of 256×256 pixels, quality 85 to 90."""

    def write(number: int) -> None:
        random = np.random.default_rng(number)
        photo(random).save(folder / f"{number:05d}.jpg", quality=int(random.integers(85, 91)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))


def photo(random: np.random.Generator) -> Image.Image:
    """Return a random picture."""
    pixels = np.full((SIDE, SIDE, 3), 128.0, dtype=np.float32)
    for cells in _CELLS:
        noise = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        smooth = np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
        pixels += (smooth - 128) / cells**0.5
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(picture)
    for _ in range(8):
        x, y, width, height = random.integers(0, SIDE // 2, 4).tolist()
        colour = tuple(random.integers(0, 256, 3).tolist())
        draw = canvas.ellipse if width > height else canvas.rectangle
        draw((x, y, x + width, y + height), outline=colour, width=int(random.integers(1, 6)))
    return picture
