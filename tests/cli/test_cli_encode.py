from pathlib import Path

import numpy as np
import pytest

import genlab as package
from genlab.core.errors import GenlabError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("runs")
    return package.train("vae", data="digits", size=16, width=4, latent=3, steps=2, root=root)


def test_latents_are_written_with_their_classes(run: package.Run, tmp_path: Path) -> None:
    done = package.encode(run, "digits", out=tmp_path / "codes.npz")
    table = done.table
    assert table.values.shape == (done.rows, 3)
    model = package.load(run)
    x = package.data("digits", size=16).source.held_out.batch(np.arange(5)).x
    assert np.allclose(table.values[:5], model.encode(x).detach(), atol=1e-5)
    assert set(table.labels) == set(map(str, range(10)))


def test_an_array_can_be_encoded(run: package.Run) -> None:
    done = package.encode(run, np.zeros((3, 16, 16), np.uint8))
    assert done.path.parent == run.folder / "latents"
    assert done.values()["rows"] == 3


def test_a_model_without_latents_says_what_to_use(tmp_path: Path) -> None:
    run = package.train("gan", data="digits", size=16, width=4, steps=1, root=tmp_path)
    with pytest.raises(GenlabError, match="genlab encode needs a model that can encode"):
        package.encode(run, "digits")
