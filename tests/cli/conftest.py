from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from genlab.cli.main import run


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def genlab(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The command line in this process: arguments in; exit code and what was printed out."""

    def call(*tokens: object) -> Said:
        capsys.readouterr()
        code = run([str(token) for token in tokens])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Said(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny finished run of each family, on digits of 16 pixels; `latest` is the VAE."""
    root = tmp_path_factory.mktemp("runs")
    options = {"data": "digits", "size": 16, "batch_size": 16, "latent": 4, "steps": 12}
    options |= {"preview-every": 6, "evaluate-every": 6, "root": root}
    for preset, width in (("autoencoder", 16), ("dcgan", 4), ("vae", 16)):
        flags = [
            str(token) for name, value in {**options, "width": width}.items() for token in (f"--{name}", value)
        ]
        if preset == "dcgan":
            flags += ["--generator-lr", "0.05"]  # else all of its pictures round to the same grey after 12 steps
        assert run(["train", preset, *flags]) == 0
    return root


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three pictures of several kinds and a broken one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, shape in (("a.png", (20, 30)), ("b.jpg", (16, 16, 3)), ("c.png", (40, 24, 3))):
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    return folder
