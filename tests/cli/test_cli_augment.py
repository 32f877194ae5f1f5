from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genlab as package
from genlab.applications.augment_accuracy import accuracies
from genlab.core.errors import GenlabError, UsageError
from genlab.data.source import open_source


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("runs")
    return package.train("cgan", data="digits", size=16, width=4, latent=3, steps=2, quiet=True, root=root)


def test_each_class_gets_pictures_up_to_the_number(
    run: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genlab.applications.augment_accuracy.accuracies", partial(accuracies, steps=1))
    monkeypatch.setattr("genlab.applications.augment_accuracy.SEEDS", 2)
    done = package.augment(
        run, per_class=170, out=tmp_path / "more", filter="discriminator", keep=0.8, classifier=True
    )
    real = np.bincount(open_source("digits").train.labels, minlength=10)
    made = [len(list((tmp_path / "more" / str(digit)).glob("*.png"))) for digit in range(10)]
    assert made == np.maximum(0, 170 - real).tolist()
    assert sum(made) == sum(each.kept for each in done.filled)
    assert len(done.table.names) == sum(each.candidates for each in done.filled)
    assert {path.name for path in tmp_path.iterdir()} == {"more", "more.csv"}
    assert set(done.table.values[:, done.table.columns.index("code")]) <= {0.0, 1.0, 2.0}
    assert len(done.values()["accuracy"]) == 5
    assert "real + generated" in str(done)
    with pytest.raises(UsageError, match="is not empty"):
        package.augment(run, per_class=170, out=tmp_path / "more", filter="none")


def test_a_candidate_is_the_sample_of_its_row(run: package.Run, tmp_path: Path) -> None:
    made = package.augment(run, per_class=165, out=tmp_path / "more", filter="none", seed=3)
    package.sample(run, number=20, label="8", out=tmp_path / "samples", seed=3)
    name = next(name for name in made.table.names if name.startswith("8/"))
    pictures = [np.asarray(Image.open(tmp_path / folder / name)) for folder in ("more", "samples")]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1


def test_a_model_without_labels_says_what_to_use(tmp_path: Path) -> None:
    run = package.train("gan", data="digits", size=16, width=4, steps=1, quiet=True, root=tmp_path)
    with pytest.raises(GenlabError, match=r"trained without labels.*Try: .*cgan"):
        package.augment(run, out=tmp_path / "more")
