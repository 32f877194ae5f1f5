"""Each option of data with two sides changes what is read, or is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genlab.core.errors import GenlabError
from genlab.core.reading import Reads
from genlab.recipes.presets import PRESETS
from genlab.recipes.settings import Settings
from genlab.runs.data import open_data

PRESET_OF: dict[Reads, str] = {
    "examples": "vae",
    "pairs": "pix2pix",
    "sides": "cyclegan",
    "domains": "stargan",
    "styles": "style-transfer",
    "degraded": "edsr",
}
OPTIONS: dict[str, Any] = {
    "source": "more.npz",
    "pairs": "unaligned",
    "side_by_side": True,
    "direction": "b-to-a",
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 8, 8), np.uint8)
    labels = np.arange(40) % 2
    np.savez(tmp_path / "sides.npz", A=images[0], B=images[1])
    np.savez(tmp_path / "classes.npz", images=images[0], labels=labels)
    np.savez(tmp_path / "more.npz", images=images[2])
    return tmp_path


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("reads", PRESET_OF)
def test_no_option_of_two_sides_is_without_effect(reads: Reads, option: str, data: Path) -> None:
    given = "aligned" if (reads, option) == ("styles", "pairs") else OPTIONS[option]  # they are never aligned
    name = "classes.npz" if reads in ("examples", "domains", "degraded") else "sides.npz"
    plain = Settings(data=str(data / name), size=8)
    before, after = (_read(its, reads) for its in (plain, replace(plain, **{option: given})))
    assert before != after


def _read(settings: Settings, reads: Reads) -> tuple[str, str] | str:
    """Return the fingerprints of what is read, or why nothing is."""
    try:
        source = open_data(settings, recipe=PRESETS[PRESET_OF[reads]], quiet=True)
    except GenlabError as error:
        return str(error)
    return source.train.fingerprint, source.held_out.fingerprint
