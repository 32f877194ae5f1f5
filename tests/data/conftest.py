from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data import named, source
from genlab.data.dataset import Source
from genlab.data.source import open_source


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _digits_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open_digits", "open_paired_digits"):
        monkeypatch.setattr(source, name, getattr(named, name))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def opened(cache: Path) -> Callable[..., Source]:
    """open_source with a cache of its own; any path will do as the source."""

    def call(source: object, **options: object) -> Source:
        return partial(open_source, str(source), cache=cache, progress=False)(**options)  # type: ignore[arg-type]

    return call


def paint(path: Path, seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (40, 36)) -> Path:
    """Write a smooth picture that depends on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    low = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(low).resize(size).convert(mode).save(path)
    return path


@pytest.fixture(name="paint")
def _paint() -> Callable[..., Path]:
    return paint


@pytest.fixture
def album(root: Path) -> Path:
    """Twenty pictures in two folders."""
    for at in range(20):
        paint(root / ("cat" if at % 2 else "dog") / f"{at:02}.png", at)
    return root
