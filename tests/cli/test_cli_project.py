import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genlab as package
from genlab.applications import project_files
from genlab.applications.project import Projecting, project
from genlab.applications.rows import read_table
from genlab.core.errors import GenlabError, UsageError
from genlab.data.source import open_source
from genlab.metrics.extractors.taps import EFFICIENTNET, taps
from genlab.metrics.perceptual import distance_of_maps

Genlab = Callable[..., tuple[int, str, str]]
QUICK = {"steps": 4, "starts": 2}


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("conditional")
    small = {"size": 16, "width": 4, "latent": 4, "batch_size": 16, "steps": 4}
    return package.train("cgan", data="digits", root=root, quiet=True, **small)


def digits(count: int) -> np.ndarray:
    return open_source("digits", size=16).held_out.batch(np.arange(count)).x.numpy()


def test_projections_are_latents_that_decode_to_what_was_measured(runs: Path, tmp_path: Path) -> None:
    found = package.project("dcgan", digits(5), out=tmp_path / "a.npz", root=runs, **QUICK)
    table, model = read_table(tmp_path / "a.npz"), package.load("dcgan", root=runs)
    assert list(table.columns) == ["z0", "z1", "z2", "z3"]
    made = model.decode(torch.from_numpy(table.values))
    errors = (made - torch.from_numpy(digits(5))).square().flatten(1).mean(1)
    assert found.errors["projection"] == pytest.approx(errors.tolist(), rel=1e-3)
    start = model.decode(torch.zeros(1, 4))
    assert (errors <= (start - torch.from_numpy(digits(5))).square().flatten(1).mean(1) + 1e-5).all()
    assert found.columns.keys() == {"source", "projection", "nearest", "PCA"}
    assert set(found.psnr) == {"projection", "nearest", "PCA"}
    assert found._repr_png_() == found.picture_path.read_bytes()


def test_an_encoder_gives_the_start_of_a_projection(runs: Path, tmp_path: Path) -> None:
    found = package.project("vae", digits(6), out=tmp_path / "a.csv", root=runs, steps=20)
    encoded = package.reconstruct("vae", digits(6), out=tmp_path / "b.png", root=runs)
    assert np.mean(found.errors["projection"]) < encoded.errors.mean()


def test_a_killed_projection_goes_on(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = package.project("dcgan", digits(5), out=tmp_path / "whole.npz", root=runs, **QUICK)
    projected, calls = project_files.project, list[int]()
    caplog.set_level(logging.INFO, "genlab")

    def stopping(model: torch.nn.Module, x: torch.Tensor, *rest: object) -> object:
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(len(x))
        return projected(model, x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(project_files, "AT_ONCE", 2)
    with monkeypatch.context() as patch:
        patch.setattr(project_files, "project", stopping)
        with pytest.raises(KeyboardInterrupt):
            package.project("dcgan", digits(5), out=tmp_path / "part.npz", root=runs, **QUICK)
    again = package.project("dcgan", digits(5), out=tmp_path / "part.npz", root=runs, **QUICK)
    assert "after the first 2, which are there already" in caplog.text
    assert np.allclose(again.table.values, whole.table.values, atol=1e-3)
    assert again.errors["projection"] == pytest.approx(whole.errors["projection"], rel=1e-2)


def test_files_are_projected_and_what_is_no_picture_is_said(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    options = ("--steps", 2, "--starts", 1, "--root", runs)
    code, out, _ = genlab("project", "dcgan", pictures, *options, "--out", tmp_path / "a.npz")
    assert code == 0
    assert "rejected  broken.png: " in out
    assert "squashed to the model's 16x16 pixels in grey, because their aspect ratio differs: 2" in out
    assert "dB  nearest training example" in out
    code, out, _ = genlab("project", "dcgan", pictures, *options, "--out", tmp_path / "b.npz", "--json")
    assert code == 0
    assert set(json.loads(out)["errors"]["projection"]) == {"a.png", "b.jpg", "c.png"}


def test_a_picture_that_is_read_is_not_replaced_by_the_strip(runs: Path, pictures: Path) -> None:
    with pytest.raises(UsageError, match="is one of the files that are read"):
        package.project("dcgan", pictures, out=pictures / "a.npz", root=runs, **QUICK)


def test_features_count_beside_pixels_if_that_is_asked_for(runs: Path, tmp_path: Path) -> None:
    model, x = package.load("dcgan", root=runs), torch.from_numpy(digits(2))
    network, how = taps(EFFICIENTNET), Projecting(steps=8, starts=1)

    def distance(weight: float) -> float:
        made = model.decode(project(model, x, replace(how, perceptual=weight)).latents)
        return float(distance_of_maps(network(made), network(x)).mean())

    assert distance(10.0) < distance(0.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "--steps must be 1 or more"),
        ({"starts": 0}, "--starts must be 1 or more"),
        ({"noise": -1.0}, "--noise must be 0 or more"),
        ({"perceptual": -1.0}, "--perceptual must be 0 or more"),
        ({"out": "a.png"}, r"must end in .csv or .npz"),
    ],
)
def test_wrong_options_of_a_projection(runs: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        package.project("dcgan", digits(1), root=runs, **options)


def test_a_model_that_does_not_decode_cannot_project(tmp_path: Path) -> None:
    small = {"size": 16, "width": 8, "steps": 1, "timesteps": 4, "attention": 0, "batch_size": 4, "quiet": True}
    run = package.train("ddpm", data="digits", root=tmp_path, **small)
    with pytest.raises(GenlabError, match="needs a model that can decode"):
        package.project(run, digits(1))


def test_without_the_data_of_the_run_there_are_no_baselines(tmp_path: Path) -> None:
    files = [tmp_path / "data" / f"{number}.png" for number in range(30)]
    files[0].parent.mkdir()
    for number, file in enumerate(files):
        Image.fromarray(np.full((16, 16), 8 * number, np.uint8)).save(file)
    small = {"size": 16, "width": 4, "latent": 3, "batch_size": 4, "steps": 2, "quiet": True}
    run = package.train("dcgan", data=tmp_path / "data", root=tmp_path / "runs", **small)
    for file in files:
        file.unlink()
    found = package.project(run, digits(2), **QUICK)
    assert set(found.errors) == {"projection"}
    assert "without the baselines, which need the data of the run" in str(found)


def test_an_edit_of_strength_0_is_the_reconstruction(runs: Path, tmp_path: Path) -> None:
    edited = package.edit("vae", digits(4), towards=7, strength=(0.0, 1.0, -1.0), root=runs, examples=50)
    again = package.reconstruct("vae", digits(4), out=tmp_path / "a.png", root=runs)
    torch.testing.assert_close(edited.frames[:, 0], again.reconstructions)
    assert edited.titles == ["+0", "+1", "-1"]
    assert not torch.equal(edited.frames[:, 1], edited.frames[:, 0])
    assert edited.in_pixels is not None
    torch.testing.assert_close(edited.in_pixels[:, 0], torch.from_numpy(digits(4)))
    assert "50 examples of class 7 and 50 of others" in str(edited)


def test_latents_in_a_file_are_edited_as_the_pictures_they_are_from(runs: Path, tmp_path: Path) -> None:
    package.encode("vae", digits(3), out=tmp_path / "codes.csv", root=runs)
    options = {"towards": "3", "by": "probe", "examples": 30, "root": runs, "strength": (0.5,)}
    ours = package.edit("vae", tmp_path / "codes.csv", **options)
    theirs = package.edit("vae", digits(3), **options)
    torch.testing.assert_close(ours.frames, theirs.frames, atol=1e-3, rtol=0)
    assert ours.sources is None
    small = {"size": 16, "width": 4, "latent": 3, "batch_size": 16, "steps": 1, "quiet": True}
    other = package.train("vae", data="digits", root=tmp_path, **small)
    with pytest.raises(UsageError, match="4 numbers a row, and this model takes 3 latents"):
        package.edit(other, tmp_path / "codes.csv", towards="3")


def test_a_model_with_classes_keeps_the_latent_and_changes_the_class(
    conditional: package.Run, tmp_path: Path
) -> None:
    labels = ["3", "5"]
    for label, picture in zip(labels, digits(2), strict=True):
        (tmp_path / "given" / label).mkdir(parents=True)
        Image.fromarray(((picture[0] + 1) * 127.5).astype(np.uint8)).resize((30, 20)).save(
            tmp_path / "given" / label / "a.png"
        )
    found = package.project(conditional, tmp_path / "given", out=tmp_path / "codes.npz", **QUICK)
    assert list(found.table.labels) == labels
    model = package.load(conditional)
    latents = torch.from_numpy(found.table.values)
    edited = package.edit(conditional, tmp_path / "codes.npz", towards=7)
    for place, wanted in ((0, [3, 5]), (1, [7, 7])):
        torch.testing.assert_close(
            edited.frames[:, place], model.decode(latents, {"label": torch.tensor(wanted)}), atol=1e-3, rtol=0
        )
    package.edit(conditional, tmp_path / "given", towards=7, out=tmp_path / "out", **QUICK)
    with Image.open(tmp_path / "out" / "7" / "3" / "a.png") as written:
        assert written.size == (30, 20)
    with pytest.raises(UsageError, match="--strength has no effect on a label"):
        package.edit(conditional, digits(1), towards=7, strength=(1.0,))


def test_a_folder_of_pictures_and_a_class_that_there_is_not(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    options = ("--examples", 3, "--strength", -1, 0.5, "--out", tmp_path / "e.png", "--root", runs)
    code, out, _ = genlab("edit", "vae", pictures / "a.png", "--towards", pictures, *options)
    assert code == 0
    assert f"3 examples of 4 at {pictures}" in out
    assert "1 picture, each as: -1, +0.5" in out
    code, _, err = genlab("edit", "vae", pictures / "a.png", "--towards", "eleven", *options)
    assert code == 2
    assert 'no class "eleven"' in err
    assert "There is no folder eleven either." in err
    (tmp_path / "empty").mkdir()
    code, _, err = genlab("edit", "vae", pictures / "a.png", "--towards", tmp_path / "empty", *options)
    assert code == 1
    assert f"no picture could be read at {tmp_path / 'empty'}" in err
    code, _, err = genlab("edit", "vae", pictures / "a.png", "--towards", "3", "--by", "label", "--root", runs)
    assert code == 2
    assert "--by label needs a model with classes" in err


def test_a_path_between_two_pictures_of_a_gan(conditional: package.Run, pictures: Path, tmp_path: Path) -> None:
    two = [pictures / "a.png", pictures / "b.jpg"]
    walk = package.interpolate(conditional, between=two, frames=3, out=tmp_path / "walk.png")
    assert walk.frames.shape == (1, 3, 1, 16, 16)
    assert len(walk.classes) == 2
    assert "the ends are projections of the pictures" in str(walk)


def test_a_path_is_told_as_json(runs: Path, tmp_path: Path, genlab: Genlab) -> None:
    options = ("--stretches", 2, "--frames", 3, "--out", tmp_path / "i.png", "--root", runs)
    code, out, _ = genlab("interpolate", "vae", *options, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["stretches"], told["frames"], told["path"]) == (2, 3, str(tmp_path / "i.png"))


def test_points_are_projected_too(tmp_path: Path) -> None:
    run = package.train("gan", data="ring8", steps=2, width=8, latent=2, root=tmp_path, quiet=True)
    found = package.project(run, np.zeros((5, 2), np.float32), **QUICK, out=tmp_path / "a.npz")
    assert found.psnr == {}
    assert found.table.values.shape[1] == 2
    assert found.picture_path.exists()
