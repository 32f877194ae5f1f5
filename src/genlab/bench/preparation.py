"""The speed of data preparation: from a folder of JPEGs to pictures for training."""

import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genlab.bench.measure import Scope, Spread, interleaved, ratios, timed
from genlab.bench.page import Row, Section
from genlab.bench.photos import SIDE, write_photos
from genlab.data.source import open_source

FILES, SIZE, LEAST = 3000, 64, 2500
GENLAB, TEXTBOOK = "genlab, into the cache, with all checks", "textbook: Pillow, one thread, into memory"


def measure(scope: Scope) -> Section:
    """Compare the preparation of a folder with the textbook's."""
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "photos", Path(place) / "cache"
        folder.mkdir()
        write_photos(folder, FILES)
        size = sum(path.stat().st_size for path in folder.iterdir()) / FILES
        ways = {GENLAB: partial(_prepare, folder, cache), TEXTBOOK: partial(_textbook, folder)}
        found = interleaved({name: partial(timed, way) for name, way in ways.items()}, scope.repeats)
        differences = np.abs(_prepare(folder, cache).astype(float) - _textbook(folder))
    rates = {name: [FILES / value.wall for value in values] for name, values in found.items()}
    works = {name: [1000 * value.processor / FILES for value in values] for name, values in found.items()}
    rows = [
        Row(GENLAB, Spread.of(rates[GENLAB]), "files/s", least=LEAST),
        Row(TEXTBOOK, Spread.of(rates[TEXTBOOK]), "files/s"),
        Row("genlab to textbook", ratios(rates[GENLAB], rates[TEXTBOOK]), "times"),
        Row("processor time per file, genlab", Spread.of(works[GENLAB]), "ms"),
        Row("processor time per file, textbook", Spread.of(works[TEXTBOOK]), "ms"),
        Row("mean difference between their pixels", float(differences.mean()), "of 255"),
    ]
    method = (
        f"{FILES:,} JPEGs of {SIDE}×{SIDE} pixels ({size / 1000:.0f} kB each; smooth noise of all scales, and "
        f"edges) to {SIZE}×{SIZE}, read from a warm file cache. genlab reads all headers, decodes on all cores, "
        "writes a file and computes its fingerprint. The textbook opens, resizes (bicubic), crops and copies one "
        "picture after another. Processor time is that of all threads, and hardly depends on other load."
    )
    return Section("Preparing data", method, rows)


def _prepare(folder: Path, cache: Path) -> NDArray[np.uint8]:
    """Prepare the pictures without a cache, and return them in the order of their names."""
    shutil.rmtree(cache, ignore_errors=True)
    open_source(str(folder), size=SIZE, cache=cache, progress=False)
    images: NDArray[np.uint8] = np.load(next(cache.glob("*/images.npy")), mmap_mode="r")
    return images


def _textbook(folder: Path) -> NDArray[np.uint8]:
    paths = sorted(folder.iterdir())
    images = np.empty((len(paths), 3, SIZE, SIZE), dtype=np.uint8)
    for row, path in enumerate(paths):
        picture = Image.open(path).convert("RGB")
        scale = SIZE / min(picture.size)
        width, height = round(picture.width * scale), round(picture.height * scale)
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        small = picture.resize((width, height), Image.Resampling.BICUBIC)
        images[row] = np.asarray(small.crop((left, top, left + SIZE, top + SIZE))).transpose(2, 0, 1)
    return images
