"""A run that is killed, however often and wherever, ends in the bits of the run that was not."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sabotage import TINY, Kill, differences, in_child, outcome, train

RHYTHM = {"steps": 60, "checkpoint_every": 5, "evaluate_every": 8, "preview_every": 9}
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "autoencoder": ("autoencoder", {"data": "digits", "size": 16, "ema": 0.9}),
    "vae": ("vae", {}),
    "gan": ("gan", {"discriminator_steps": 2}),
    "dcgan": ("dcgan", {"architecture": "dcgan", "data": "digits", "size": 16, "width": 4}),
    "flow": ("spline-flow", {"architecture": "spline", "latent": None}),
    "diffusion": ("ddpm", {"architecture": "mlp", "latent": None, "dropout": 0.0}),
    "photos": ("conv-vae", {"architecture": "dcgan", "data": "photos", "size": 16, "width": 4}),
}

Reference = Callable[[str], dict[str, Any]]


def _options(name: str, out: Path) -> dict[str, Any]:
    options = {**TINY, **RHYTHM, **CONFIGURATIONS[name][1], "root": str(out)}
    if options["data"] == "photos":
        options["data"] = str(_photos(out.parent / "photos"))
    return {option: value for option, value in options.items() if value is not None}


def _train(preset: str, options: Mapping[str, Any], kill: Kill | None = None) -> None:
    """Train with a cache below the root, so that its preparation is killed, too."""
    os.environ["GENLAB_CACHE"] = str(Path(options["root"]) / ".cache")  # in this process, a child
    train(preset, options, kill)


def _photos(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What the run of that name comes to when nobody stops it."""
    known: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in known:
            out = tmp_path_factory.mktemp(name)
            assert in_child(_train, CONFIGURATIONS[name][0], _options(name, out)).code == 0
            known[name] = outcome(out / "latest")
        return known[name]

    return of


def _draw(rng: random.Random) -> Kill:
    """Draw an instant that is a few checkpoints away at most; half of them are inside one that is written."""
    at = rng.choice(("checkpoint",) * 4 + ("folder", "update", "call", "clock"))
    most = {"checkpoint": 70, "folder": 120, "update": 25, "call": 400}
    return Kill("clock", rng.uniform(0.02, 0.4)) if at == "clock" else Kill(at, rng.randint(1, most[at]))


def _torment(name: str, out: Path, rng: random.Random, most: int) -> list[Kill]:
    """Train until it is done, killing at most `most` times; return the kills."""
    preset, options = CONFIGURATIONS[name][0], _options(name, out)
    killed: list[Kill] = []
    while True:
        kill = _draw(rng) if len(killed) < most else None
        end = in_child(_train, preset, options, kill)
        if end.code == 0:
            return killed
        assert end.code == -signal.SIGKILL, f"{kill} made the run of {name} end by itself: {end.said}"
        assert kill is not None
        killed.append(kill)


def _torment_all(
    names: Sequence[str], kills: int, each: int, tmp_path: Path, reference: Reference
) -> Counter[str]:
    """Kill runs of all `names` in turn, each at most `each` times, until there were `kills` in all."""
    rng = random.Random(20)
    killed: list[Kill] = []
    number = 0
    while len(killed) < kills:
        name, out = names[number % len(names)], tmp_path / str(number)
        this = _torment(name, out, rng, min(each, kills - len(killed)))
        assert differences(outcome(out / "latest"), reference(name)) == [], f"{name} after {this}"
        killed += this
        number += 1
    return Counter(kill.at for kill in killed)


def test_ten_kills_change_no_bit(tmp_path: Path, reference: Reference) -> None:
    kinds = _torment_all(("gan", "autoencoder"), 10, 5, tmp_path, reference)
    assert kinds.total() == 10
    assert kinds["checkpoint"] >= 3


@pytest.mark.slow
def test_two_hundred_kills_change_no_bit(tmp_path: Path, reference: Reference) -> None:
    kinds = _torment_all([*CONFIGURATIONS], 200, 7, tmp_path, reference)
    assert kinds.total() == 200
    assert min(kinds.values()) >= 10
