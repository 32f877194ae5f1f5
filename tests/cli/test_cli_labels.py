"""A class asked for by name or number, from data to pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genlab as package
from genlab.applications.interpolate import ends_of, interpolate
from genlab.applications.sample import sample
from genlab.core import batch
from genlab.core.errors import UsageError
from genlab.core.pictures import to_bytes
from genlab.data.source import open_source
from genlab.verbs.interpolate import interpolate as interpolate_verb
from genlab.verbs.load import load
from genlab.verbs.reconstruct import reconstruct
from genlab.verbs.train import train

Genlab = Callable[..., tuple[int, str, str]]
NAMES = ("Bag", "ankle boot", "trouser")  # sorted as folders are


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of cgan on three folders of pictures, one for each class, all of one grey."""
    from genlab.cli.main import run

    root = tmp_path_factory.mktemp("labelled")
    for number, name in enumerate(NAMES):
        (root / "photos" / name).mkdir(parents=True)
        for k in range(8):
            grey = np.full((16, 16), 80 * number + k, np.uint8)
            Image.fromarray(grey).save(root / "photos" / name / f"{k}.png")
    small = {"size": 16, "width": 4, "latent": 4, "batch_size": 8, "generator-lr": 0.05, "steps": 12}
    options = {"data": root / "photos", "root": root / "runs", **small}
    assert run(["train", "cgan", *(str(token) for n, v in options.items() for token in (f"--{n}", v))]) == 0
    return root / "runs"


def test_a_class_by_name_in_any_case_or_by_number(root: Path, genlab: Genlab, tmp_path: Path) -> None:
    pictures = []
    for label in ("trouser", "Trouser", "2"):
        target = tmp_path / f"{label}.png"
        assert genlab("sample", "cgan", "--label", label, "-n", 4, "--out", target, "--root", root)[0] == 0
        pictures.append(target.read_bytes())
    assert pictures[0] == pictures[1] == pictures[2]
    other = tmp_path / "bag.png"
    assert genlab("sample", "cgan", "--label", "bag", "-n", 4, "--out", other, "--root", root)[0] == 0
    assert other.read_bytes() != pictures[0]


def test_without_a_label_there_is_a_column_for_each_class(root: Path, genlab: Genlab) -> None:
    assert genlab("sample", "cgan", "-n", 6, "--root", root)[0] == 0
    with Image.open(root / "cgan" / "samples" / "000012-6-seed-0.png") as grid:
        assert grid.width == 3 * 34 - 2  # shown at twice their size
        assert 2 * 34 - 2 < grid.height < 4 * 34  # below the names of the classes
    model = load("cgan", root=root)
    images = sample(model, 300, seed=1)  # in more chunks than one
    assert images.shape == (300, 1, 16, 16)
    for label in range(3):
        rows = torch.arange(300) % 3 == label
        torch.testing.assert_close(images[rows], sample(model, 300, 1, {"label": torch.full((300,), label)})[rows])


def test_a_run_names_the_classes_that_one_can_ask_for(root: Path, genlab: Genlab) -> None:
    assert "classes for --label: Bag, ankle boot, trouser" in genlab("info", "cgan", "--root", root)[1]


def test_several_classes_are_taken_in_turn_on_both_faces(root: Path, genlab: Genlab, tmp_path: Path) -> None:
    line = ("sample", "cgan", "--label", "trouser", "--label", 0, "-n", 5, "--out", tmp_path / "a.png")
    assert genlab(*line, "--root", root)[0] == 0
    drawn = package.sample("cgan", label=["trouser", 0], number=5, out=tmp_path / "b.png", root=root)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert drawn.condition["label"].tolist() == [2, 0, 2, 0, 2]
    in_run = package.sample("cgan", label=[2, "Bag"], number=5, root=root)
    assert in_run.path.name == "000012-5-2-0-seed-0.png"
    with pytest.raises(UsageError, match="label is an empty list"):
        package.sample("cgan", label=[], root=root)


def test_classes_are_folders_that_can_be_trained_on_again(root: Path, genlab: Genlab, tmp_path: Path) -> None:
    code, out, _ = genlab("sample", "cgan", "-n", 7, "--out", tmp_path / "new", "--root", root)
    assert (code, out) == (0, f"7 images in {tmp_path / 'new'}\n")
    data = package.data(tmp_path / "new", size=16, out=tmp_path / "drawn.png")
    assert data.source.train.spec.class_names == NAMES
    assert len(data.source.train) + len(data.source.held_out) == 7
    expected = to_bytes(sample(load("cgan", root=root), 7, 0))
    for row, picture in enumerate(expected):
        with Image.open(tmp_path / "new" / NAMES[row % 3] / f"{row:06d}.png") as written:
            assert np.array_equal(np.asarray(written), picture[:, :, 0])
    assert genlab("sample", "cgan", "--label", 1, "-n", 2, "--out", tmp_path / "one", "--root", root)[0] == 0
    files = sorted(str(path.relative_to(tmp_path / "one")) for path in (tmp_path / "one").rglob("*.png"))
    assert files == ["ankle boot/000000.png", "ankle boot/000001.png"]


def test_a_folder_is_continued_by_the_same_command_only(
    root: Path, genlab: Genlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "AT_ONCE", 5)
    folder, line = tmp_path / "new", ("sample", "cgan", "--out", tmp_path / "new", "--root", root)
    assert genlab(*line, "-n", 12)[0] == 0
    whole = {path: path.read_bytes() for path in folder.rglob("*.png")}
    next(folder.rglob("000010.png")).unlink()  # as if it had been killed before
    assert genlab(*line, "-n", 12)[1] == f"12 images in {folder} (11 of them were there already)\n"
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == whole
    assert genlab(*line, "-n", 14)[0] == 0  # more of the same
    assert len(list(folder.rglob("*.png"))) == 14
    for other, why in (
        (("-n", 14, "--seed", 1), "seed was 0 and is 1"),
        (("-n", 14, "--label", 0), 'classes was ["Bag", "ankle boot", "trouser"] and is ["Bag"]'),
        (("-n", 12), "is for 14 samples, more than --number 12"),
    ):
        code, _, err = genlab(*line, *other)
        assert code == 2
        assert why in " ".join(err.split())


def test_a_class_that_there_is_not(root: Path, genlab: Genlab) -> None:
    code, _, err = genlab("sample", "cgan", "--label", "trousers", "--root", root)
    assert code == 2
    assert 'no class "trousers". Did you mean "trouser"?' in err
    assert "Choices: 0 Bag, 1 ankle boot, 2 trouser." in err
    assert genlab("sample", "cgan", "--label", 3, "--root", root)[0] == 2


def test_a_label_asked_of_a_model_that_knows_none(runs: Path, genlab: Genlab) -> None:
    code, _, err = genlab("sample", "vae", "--label", 3, "--root", runs)
    assert code == 1
    assert "this model was trained without labels, so no label can be asked for" in err
    assert "cgan" in err
    assert "conditional-vae" in err


def test_each_end_of_an_interpolation_has_its_class(root: Path, genlab: Genlab) -> None:
    model = load("cgan", root=root)
    ends = ends_of(model, 5, seed=0)
    assert ends.condition["label"].tolist() == [0, 1, 2, 0, 1]
    paths = interpolate(model, ends, frames=2)
    assert paths.shape == (4, 2, 1, 16, 16)
    torch.testing.assert_close(paths[1:, 0], paths[:-1, 1])
    code, out, _ = genlab("interpolate", "cgan", "--stretches", 2, "--frames", 2, "--root", root)
    assert code == 0
    assert "classes of the ends: Bag, ankle boot, trouser; between two classes, the class changes half-way" in out


def test_pictures_are_interpolated_as_they_are_reconstructed(tmp_path: Path) -> None:
    small = {"size": 16, "width": 8, "latent": 4, "batch_size": 16, "steps": 6, "root": tmp_path, "quiet": True}
    run = train("conditional-vae", data="digits", **small)
    pictures = open_source("digits", size=16).held_out.batch(np.arange(4)).x
    again = reconstruct(run, pictures).reconstructions
    between = interpolate_verb(run, between=pictures, frames=3)  # as many as there are
    torch.testing.assert_close(between.frames[:, 0], again[:-1])
    torch.testing.assert_close(between.frames[:, -1], again[1:])
    assert len(between.classes) == 4
