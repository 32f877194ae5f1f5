"""Every command once, on tiny runs, and what it leaves behind."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import genlab as package
from genlab import __version__
from genlab.applications.interpolate import ends_of, interpolate
from genlab.applications.sample import sample
from genlab.core.errors import UsageError
from genlab.core.pictures import to_bytes
from genlab.recipes.presets import PRESETS
from genlab.recipes.settings import CheckpointName
from genlab.recipes.summaries import SUMMARIES
from genlab.runs.load import load_model
from genlab.training.run_folder import RunFolder
from genlab.verbs.load import load

Genlab = Callable[..., tuple[int, str, str]]
EVERY = ("autoencoder", "dcgan", "vae")


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs that a test may change."""
    return Path(shutil.copytree(runs, tmp_path / "runs", symlinks=True))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


@pytest.mark.parametrize(
    ("preset", "options"), [("autoencoder", ()), ("ddpm", ("--timesteps", 4, "--attention", 0))]
)
def test_training_says_where_everything_is_and_what_to_try(
    tmp_path: Path, genlab: Genlab, preset: str, options: tuple[object, ...]
) -> None:
    code, out, err = genlab(
        *("train", preset, "--width", 8, "--batch", 8, "--steps", 3, "--size", 16, "--root", tmp_path, *options)
    )
    assert code == 0
    folder = tmp_path / preset
    assert f"pictures  {folder}/previews" in out
    assert f"report    {folder}/report.html" in out
    lines = re.findall(r"genlab (.*)", out.split("Try next:")[1])
    use = "interpolate" if preset == "autoencoder" else "sample"
    assert [line.split()[0] for line in lines] == ["info", use, "resume"]
    for line in lines:
        assert genlab(*line.split())[0] == 0, line
    model = re.search(r"model +(\S+)", out)
    assert model is not None
    assert Path(model[1]).is_file()
    assert "started" in err
    assert "evaluation" in err


def test_a_diffusion_model_samples_as_it_is_asked_to(tmp_path: Path, genlab: Genlab) -> None:
    run, small = tmp_path / "conditional-diffusion", ("--width", 8, "--batch", 8, "--size", 16, "--timesteps", 12)
    assert genlab("train", run.name, *small, "--sampling-steps", 6, "--steps", 2, "--root", tmp_path)[0] == 0
    names = []
    ways: list[tuple[object, ...]] = [
        (),
        ("--sampling-steps", 3),
        ("--sampler", "heun"),
        ("--sampler", "ancestral"),
        ("--eta", 1),
        ("--guidance", 1),
        ("--label", "3"),
    ]
    for way in ways:
        code, out, _ = genlab("sample", run, "-n", 10, *way)
        assert code == 0
        names.append(Path(out.strip()))
    assert len(set(names)) == len(ways)  # none is written over another
    ancestral, all_anew = (names[ways.index(way)] for way in (("--sampler", "ancestral"), ("--eta", 1)))
    assert len({name.read_bytes() for name in names if name != all_anew}) == len(ways) - 1
    assert len({name.read_bytes() for name in names if name != ancestral}) == len(ways) - 1
    with Image.open(ancestral) as one, Image.open(all_anew) as other:  # the same but for the rounding of greys
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max() <= 1
    for wrong, words in (
        (("--sampling-steps", 13), "13 exceeds the 12 noise levels"),
        (("--sampler", "heun", "--eta", 1), "--eta 1 is only for --sampler ddim"),
        (("--sampler", "hein"), "heun"),
    ):
        code, _, err = genlab("sample", run, *wrong)
        assert code == 2
        assert words in err


def test_options_of_sampling_that_a_model_has_not_are_refused(runs: Path, genlab: Genlab) -> None:
    code, _, err = genlab("sample", "dcgan", "--guidance", 3, "--root", runs)
    assert code == 2
    assert '"guidance" is not a sampling option of dcgan. It is an option of diffusion presets' in err


def test_evaluate_prints_figures_and_keeps_them(own: Path, genlab: Genlab) -> None:
    code, out, _ = genlab("evaluate", "vae", "--extractor", "pixels", "-n", 100, "--root", own)
    assert code == 0
    assert out.startswith("vae (best, step 12)\n")
    assert re.search(r"^fd\[pixels\] ↓ +[\d.]+ ± [\d.]+ +a  100 images for 256 features", out, re.MULTILINE)
    assert re.search(r"^a  extractor pixels, .*fake 100$", out, re.MULTILINE)
    assert re.search(r"^reconstruction_mse ↓ +[\d.]+ ± [\d.]+", out, re.MULTILINE)
    assert "all: split held-out, images 1×16×16, seed 0" in out
    assert re.search(r"^in \d+ s$", out, re.MULTILINE)
    code, out, _ = genlab("evaluate", "vae", "--extractor", "pixels", "-n", 100, "--root", own)
    assert re.search(r"^measured before, in \d+ s; --again measures again$", out, re.MULTILINE)
    code, out, _ = genlab("evaluate", "vae", "--extractor", "pixels", "-n", 100, "--root", own, "--json")
    figures = {figure["name"]: figure for figure in json.loads(out)["figures"]}
    assert figures["fd[pixels]"]["protocol"]["fake"] == 100
    (kept,) = (own / "vae" / "evaluations").iterdir()
    assert json.loads(kept.read_text())["figures"] == list(figures.values())


def test_evaluate_measures_pictures_of_any_origin(pictures: Path, tmp_path: Path, genlab: Genlab) -> None:
    line = ("evaluate", "--real", "digits", "--fake", pictures, "--extractor", "pixels", "--size", 16, "--json")
    code, _, err = genlab(*line)
    assert code == 1
    assert "--max-rejected 0.25" in err
    code, out, _ = genlab(*line, "--max-rejected", 0.25)
    assert code == 0
    said = json.loads(out)
    assert said["subject"] == f"{pictures} compared with digits"
    assert {"fd[pixels]", "kd[pixels]"} <= {figure["name"] for figure in said["figures"]}


def test_compare_ranks_runs(own: Path, tmp_path: Path, genlab: Genlab) -> None:
    table, page = tmp_path / "table.csv", tmp_path / "page.html"
    options = ("--extractor", "pixels", "-n", 100, "--root", own, "--csv", table, "--html", page)
    code, out, _ = genlab("compare", "dcgan", "vae", *options)
    assert code == 0
    header = out.splitlines()[0].split("  ")
    ranked = [cell.strip() for cell in header if cell.strip()]
    assert [name.partition(" ")[0] for name in sorted(ranked)] == ["dcgan", "vae"]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    distances = {row["subject"]: float(row["value"]) for row in rows if row["figure"] == "fd[pixels]"}
    assert ranked == sorted(distances, key=lambda name: distances[name])
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 2
    assert "Ranked by fd[pixels]" in text


@pytest.mark.parametrize("preset", EVERY)
def test_a_run_folder_is_whole(runs: Path, preset: str) -> None:
    folder = RunFolder(runs / preset)
    names = {path.name for path in folder.path.iterdir() if not path.name.startswith(".")}
    assert {"recipe.yaml", "data.yaml", "history.jsonl", "events.jsonl", "results.csv", "results.png"} < names
    assert {"report.html", "previews", "checkpoints"} < names
    assert [path.stem for path in folder.previews()] == ["000006", "000012"]
    assert [event["step"] for event in folder.events("evaluation")] == [6, 12]
    assert (runs / "latest").resolve() == (runs / "vae").resolve()


@pytest.mark.parametrize("preset", ["vae", "dcgan"])
def test_samples_come_as_a_grid_or_one_by_one_by_seed(
    runs: Path, tmp_path: Path, genlab: Genlab, preset: str
) -> None:
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2), ("folder", 1)):
        out = tmp_path / "deep" / name
        assert genlab("sample", preset, "-n", 6, "--seed", seed, "--out", out, "--root", runs)[0] == 0
    grids = [tmp_path / "deep" / f"{name}.png" for name in "abc"]
    assert grids[0].read_bytes() == grids[1].read_bytes() != grids[2].read_bytes()
    assert pixels(grids[0]).shape == (2 * 34 - 2, 3 * 34 - 2)
    expected = to_bytes(sample(load(preset, root=runs), 6, seed=1))
    single = sorted((tmp_path / "deep" / "folder").glob("*.png"))
    assert [path.name for path in single] == [f"{number:06d}.png" for number in range(6)]
    for number, path in enumerate(single):
        assert np.array_equal(pixels(path), expected[number, :, :, 0])
        top, left = 34 * (number // 3), 34 * (number % 3)
        assert np.array_equal(pixels(grids[0])[top : top + 32 : 2, left : left + 32 : 2], pixels(path))


@pytest.mark.parametrize("out", [(), ("--out", "big.png")])
def test_too_many_samples_for_one_picture_are_refused_at_once(
    runs: Path, genlab: Genlab, out: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = genlab("sample", "vae", "-n", 100_000_000, *out, "--root", runs)
    assert code == 2
    words = " ".join(err.split())
    assert "one .png shows at most 60,553 pictures of 16×16 pixels, not 100,000,000." in words
    assert "Give a folder for single images: --out FOLDER." in words
    assert not list(tmp_path.iterdir())


def test_samples_lie_in_the_run_folder_by_default(own: Path, genlab: Genlab) -> None:
    code, out, err = genlab("sample", "-n", 4, "--root", own)
    assert re.fullmatch(r"genlab: vae: checkpoint (best|last), step 12.*\n", err)
    assert code == 0
    assert out.strip() == str(own.resolve() / "vae" / "samples" / "000012-4-seed-0.png")
    assert Path(out.strip()).is_file()
    assert genlab("sample", own / "vae", "-n", 4, "--checkpoint", "last")[0] == 0


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("sample", "vae", "-n", 2, "--seed", 3), "000012-2-seed-3.png"),
        (("sample", "vae", "-n", 2, "--checkpoint", "last"), "000012-2-seed-0.png"),
        (("interpolate", "vae", "--frames", 2), "000012-6x2-seed-0.png"),
        (("interpolate", "vae", "--frames", 2, "--stretches", 1), "000012-1x2-seed-0.png"),
        (
            ("interpolate", "vae", "--frames", 2, "--stretches", 1, "--between", "PICTURES"),
            "000012-pictures-1x2-seed-0.png",
        ),
        (("reconstruct", "vae", "PICTURES"), "000012-pictures.png"),
        (("reconstruct", "vae", "PICTURES", "--draw"), "000012-pictures-seed-0.png"),
    ],
)
def test_a_picture_is_named_after_all_that_was_asked_for(
    own: Path, pictures: Path, genlab: Genlab, command: tuple[object, ...], name: str
) -> None:
    asked = [pictures if token == "PICTURES" else token for token in command]
    code, out, _ = genlab(*asked, "--root", own)
    assert code == 0
    assert name in [Path(line).name for line in out.splitlines()]


@pytest.mark.parametrize(
    "command",
    [("sample", "vae", "-n", 1), ("reconstruct", "vae"), ("interpolate", "vae", "--frames", 2)],
    ids=lambda command: command[0],
)
def test_every_use_takes_the_checkpoint_that_is_asked_for(
    runs: Path,
    pictures: Path,
    tmp_path: Path,
    genlab: Genlab,
    command: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []

    def recorded(folder: RunFolder, which: CheckpointName | None = None, *others: Any) -> nn.Module:
        asked.append(which)
        return load_model(folder, which, *others)

    monkeypatch.setattr("genlab.runs.load.load_model", recorded)
    tokens = (*command, *((pictures,) if command[0] == "reconstruct" else ()), "--root", runs)
    for which in ("best", "last", None):
        chosen = ("--checkpoint", which) if which else ()
        assert genlab(*tokens, *chosen, "--out", tmp_path / "a.png")[0] == 0
    assert asked == ["best", "last", None]


@pytest.mark.parametrize("preset", ["vae", "autoencoder"])
def test_a_picture_is_reconstructed(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab, preset: str
) -> None:
    target = tmp_path / "rows.png"
    code, out, _ = genlab("reconstruct", preset, pictures / "b.jpg", "--out", target, "--root", runs)
    assert code == 0
    assert re.search(r"^\d\.\d{5}  b\.jpg$", out, re.MULTILINE)
    assert "images: 1" in out
    assert pixels(target).shape == (2 * 34 - 2, 32)


def test_draws_from_the_posterior_are_those_of_the_seed(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    def drawn(*options: object) -> bytes:
        target = tmp_path / "rows.png"
        line = ("reconstruct", "vae", pictures / "b.jpg", *options, "--out", target, "--root", runs)
        assert genlab(*line)[0] == 0
        return target.read_bytes()

    assert drawn("--draw") == drawn("--draw", "--seed", 0) != drawn("--draw", "--seed", 1)
    assert drawn("--draw") != drawn()
    code, _, err = genlab("reconstruct", "autoencoder", pictures / "b.jpg", "--draw", "--root", runs)
    assert code == 1
    assert "a draw from the posterior needs a model that can draw from the posterior" in err
    assert "conv-vae" in err


def test_a_folder_is_reconstructed_and_what_is_broken_is_reported(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    code, out, _ = genlab("reconstruct", "vae", pictures, "--out", tmp_path / "rows.png", "--root", runs)
    assert code == 0
    assert {"a.png", "b.jpg", "c.png"} == set(re.findall(r"^\d\.\d{5}  (\S+)$", out, re.MULTILINE))
    assert re.search(r"^rejected  broken\.png: .+$", out, re.MULTILINE)
    assert "images: 3" in out
    errors = [float(number) for number in re.findall(r"^(\d\.\d{5})  ", out, re.MULTILINE)]
    mean = re.search(r"mean squared error .*: (\S+);", out)
    assert mean is not None
    assert float(mean[1]) == pytest.approx(sum(errors) / 3, abs=2e-5)


def test_a_folder_is_reconstructed_into_pictures_of_the_same_names_and_sizes(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    (pictures / "deep").mkdir()
    for name, size in (("b.gif", (50, 20)), ("deep/d.png", (16, 16))):
        Image.new("L", size, 128).save(pictures / name)
    out = tmp_path / "again"
    code, said, _ = genlab("reconstruct", "vae", pictures, "--out", out, "--root", runs)
    assert code == 0
    found = {str(path.relative_to(out)): pixels(path).shape for path in out.rglob("*.png")}
    assert found == {
        "a.png": (20, 30),
        "b.jpg.png": (16, 16),
        "b.gif.png": (20, 50),
        "c.png": (40, 24),
        "deep/d.png": (16, 16),
    }
    assert "images: 5" in said
    assert len(re.findall(r"^0\.\d+  \S+$", said, re.MULTILINE)) == 5
    assert "squashed to the model's 16x16 pixels in grey, because their aspect ratio differs: 3" in said
    assert "reconstructed at the model's 16x16 pixels in grey and written in their original sizes" in said
    assert re.search(r"^rejected  broken\.png: .+$", said, re.MULTILINE)
    model, kept = load("vae", root=runs), torch.full((1, 1, 16, 16), 128 / 127.5 - 1)
    assert np.array_equal(pixels(out / "deep" / "d.png"), to_bytes(model.reconstruct(kept))[0, :, :, 0])  # type: ignore[operator]
    code, _, err = genlab("reconstruct", "vae", pictures, "--out", out, "--root", runs)
    assert (code, "is not empty. Choose a new --out" in " ".join(err.split())) == (2, True)


def test_nothing_of_a_picture_is_cropped(runs: Path, tmp_path: Path, genlab: Genlab) -> None:
    errors = []
    for name, side in (("a", 0), ("b", 255)):
        wide = np.full((16, 48), 128, np.uint8)
        wide[:, :16] = wide[:, 32:] = side  # what is left and right of the centre square
        Image.fromarray(wide).save(tmp_path / f"{name}.png")
        line = ("reconstruct", "vae", tmp_path / f"{name}.png", "--out", tmp_path / "rows.png", "--root", runs)
        code, out, _ = genlab(*line, "--json")
        assert code == 0
        assert json.loads(out)["squashed"] == 1
        errors.append(json.loads(out)["mean_squared_error"])
    assert abs(errors[0] - errors[1]) > 0.01


def test_the_draw_of_a_picture_does_not_depend_on_how_many_there_are(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    for number in range(4):
        Image.new("L", (16, 16), 60 * number).save(pictures / f"z{number}.png")
    line = ("reconstruct", "vae", pictures, "--draw", "--out", tmp_path / "rows.png", "--root", runs, "--json")
    many = json.loads(genlab(*line)[1])["errors"]
    (pictures / "z3.png").unlink()
    del many["z3.png"]
    assert json.loads(genlab(*line)[1])["errors"] == pytest.approx(many)


@pytest.mark.parametrize("broken", [True, False])
def test_nothing_to_reconstruct_is_an_error(
    runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab, broken: bool
) -> None:
    path = pictures / "broken.png" if broken else tmp_path / "gone.png"
    code, _, err = genlab("reconstruct", "vae", path, "--root", runs)
    assert code == (1 if broken else 2)
    assert path.name in err
    assert not list((runs / "vae").glob("reconstructions"))


def test_a_model_that_cannot_reconstruct_names_presets_that_can(
    runs: Path, pictures: Path, genlab: Genlab
) -> None:
    code, _, err = genlab("reconstruct", "dcgan", pictures, "--root", runs)
    assert code == 1
    said = "this one can sample, decode, tell real examples from generated ones. Try: "
    assert f"reconstruction needs a model that can reconstruct; {said}" in err
    for name, recipe in PRESETS.items():
        assert (name in err.split("Try: ")[1].rstrip(".\n").split(", ")) == (
            recipe.family in ("autoencoder", "vae") and not name.startswith("table-")
        )


def test_an_autoencoder_does_not_sample(runs: Path, genlab: Genlab) -> None:
    code, _, err = genlab("sample", "autoencoder", "--root", runs)
    assert code == 1
    assert "sampling needs a model that can sample" in err


@pytest.mark.parametrize("preset", EVERY)
def test_an_interpolation_is_a_row_per_stretch_and_an_animation(
    runs: Path, tmp_path: Path, genlab: Genlab, preset: str
) -> None:
    target = tmp_path / "walk.png"
    walk = ("interpolate", preset, "--stretches", 3, "--frames", 5, "--seed", 2, "--root", runs)
    code, out, _ = genlab(*walk, "--out", target)
    assert code == 0
    assert out.split() == [str(target), str(target.with_suffix(".gif"))]
    assert pixels(target).shape == (3 * 34 - 2, 5 * 34 - 2)
    rows = pixels(target)
    assert np.array_equal(rows[:32, 4 * 34 :], rows[34:66, :32])  # a stretch begins where the last one ended
    # Pillow shows frames in a row that are the same as one, for the time of them all.
    frames = [rows[34 * (i // 5) :, 34 * (i % 5) :][:32, :32] for i in range(15)]
    changes = sum(not np.array_equal(a, b) for a, b in pairwise(frames))
    with Image.open(target.with_suffix(".gif")) as opened:
        assert opened.n_frames == 1 + changes > 3
        assert opened.size == (32, 32)
        shown = 0
        for at in range(opened.n_frames):
            opened.seek(at)
            shown += opened.info["duration"]
    assert shown == 15 * 80


def test_the_walk_of_a_model_with_a_prior_is_that_of_the_library(
    runs: Path, tmp_path: Path, genlab: Genlab
) -> None:
    target = tmp_path / "walk.png"
    options = ("--stretches", 2, "--frames", 3, "--seed", 4)
    assert genlab("interpolate", "dcgan", *options, "--out", target, "--root", runs)[0] == 0
    model = load("dcgan", root=runs)
    expected = to_bytes(interpolate(model, ends_of(model, 3, seed=4), 3).flatten(0, 1))
    for number in range(6):
        tile = pixels(target)[34 * (number // 3) :, 34 * (number % 3) :][:32:2, :32:2]
        assert np.array_equal(tile, expected[number, :, :, 0])


@pytest.mark.parametrize("command", [("interpolate", "vae"), ("data", "digits")])
def test_a_picture_is_not_written_under_a_name_that_says_otherwise(
    runs: Path, tmp_path: Path, genlab: Genlab, command: tuple[str, ...]
) -> None:
    for name in ("walk.jpg", "walk", "walk.v2"):
        root = () if command[0] == "data" else ("--root", runs)
        code, _, err = genlab(*command, "--out", tmp_path / name, *root)
        assert (code, err) == (2, f"genlab: --out {tmp_path / name} must be a .png\n")


def test_a_file_is_no_folder_for_images(runs: Path, tmp_path: Path, genlab: Genlab) -> None:
    (tmp_path / "notes.txt").touch()
    code, _, err = genlab("sample", "vae", "--out", tmp_path / "notes.txt", "--root", runs)
    said = f"genlab: --out {tmp_path / 'notes.txt'} must be a .png for a grid, or a folder for single PNGs\n"
    assert (code, err) == (2, said)


def test_points_are_not_written_one_by_one(tmp_path: Path, genlab: Genlab) -> None:
    small = ("--data", "ring8", "--architecture", "mlp", "--width", 4, "--steps", 1, "--timesteps", 3)
    assert genlab("train", "flow-matching", *small, "--sampling-steps", 2, "--root", tmp_path)[0] == 0
    code, _, err = genlab("sample", "flow-matching", "--out", tmp_path / "folder", "--root", tmp_path)
    assert code == 2
    assert "these samples are points" in err
    assert not (tmp_path / "folder").exists()


def test_without_a_best_checkpoint_the_last_is_named(tmp_path: Path, genlab: Genlab) -> None:
    small = ("--width", 4, "--batch", 8, "--size", 16, "--steps", 1, "--root", tmp_path)
    assert genlab("train", "autoencoder", *small)[0] == 0
    walk = ("interpolate", "autoencoder", "--stretches", 1, "--frames", 2, "--root", tmp_path)
    code, _, err = genlab(*walk, "--checkpoint", "best")
    assert code == 1
    assert "has no best checkpoint" in err
    assert "Use --checkpoint last." in err
    assert genlab(*walk, "--checkpoint", "last")[0] == 0


def test_a_walk_longer_than_the_held_out_part_is_refused(runs: Path, genlab: Genlab) -> None:
    code, _, err = genlab("interpolate", "autoencoder", "--stretches", 9999, "--root", runs)
    assert code == 2
    assert "the held-out part has" in err


def test_a_walk_between_pictures(runs: Path, pictures: Path, tmp_path: Path, genlab: Genlab) -> None:
    walk = ("--between", pictures, "--stretches", 2, "--out", tmp_path / "walk.png", "--root", runs)
    assert genlab("interpolate", "vae", *walk)[0] == 0
    code, _, err = genlab("interpolate", "vae", *walk, "--stretches", 3)
    assert code == 2
    code, _, err = genlab("interpolate", "vae", "--between", pictures, "--stretches", 3, "--root", runs)
    assert code == 2
    assert "has 3 images, but --stretches 3 needs 4" in err
    code, out, _ = genlab("interpolate", "vae", "--between", pictures, "--frames", 2, "--root", runs)
    assert code == 0
    assert "rejected  broken.png: " in out
    assert "because their aspect ratio differs: 2" in out
    assert "the ends are reconstructions of the pictures, with a mean PSNR of" in out
    assert out.endswith("-pictures-2x2-seed-0.gif\n")  # as many rows as the pictures allow
    two = ("--between", pictures / "a.png", pictures / "c.png", "--frames", 3, "--out", tmp_path / "two.png")
    code, out, _ = genlab("interpolate", "vae", *two, "--root", runs)
    assert code == 0
    assert pixels(tmp_path / "two.png").shape == (32, 3 * 34 - 2)


@pytest.mark.parametrize("preset", EVERY)
def test_info_says_what_a_run_is(runs: Path, genlab: Genlab, preset: str) -> None:
    code, out, _ = genlab("info", preset, "--root", runs)
    assert code == 0
    assert f"{preset} on digits: 12 of 12 steps" in out
    assert "evaluation at step 12" in out
    assert re.search(r"latent +4", out)
    parts = load(preset, root=runs).named_children()
    for name, part in parts:
        assert re.search(rf"{name} +{sum(p.numel() for p in part.parameters()):,} weights", out)
    assert ("the model can sample" in out) == (preset != "autoencoder")


def test_info_of_a_run_without_a_checkpoint(own: Path, genlab: Genlab) -> None:
    shutil.rmtree(own / "vae" / "checkpoints" / "last")
    assert genlab("info", "vae", "--root", own)[0] == 0
    shutil.rmtree(own / "vae" / "checkpoints" / "best")
    code, _, err = genlab("sample", "vae", "--root", own)
    assert code == 1
    assert "no checkpoint" in err


def test_presets_are_listed_by_pattern(genlab: Genlab) -> None:
    code, out, _ = genlab("recipes")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(PRESETS)
    assert all(summary.partition("\n")[0] in out for summary in SUMMARIES.values())
    _, out, _ = genlab("recipes", "*vae")
    assert [line.split()[0] for line in out.splitlines()] == [name for name in PRESETS if name.endswith("vae")]
    _, out, _ = genlab("recipes", "upsam")
    assert [line.split()[0] for line in out.splitlines()] == ["dcgan-upsample"]


def test_checks_says_what_the_machine_has(genlab: Genlab) -> None:
    code, out, _ = genlab("checks")
    assert code == 0
    for name, value in (("genlab", __version__), ("torch", torch.__version__), ("threads", "1"), ("device", "")):
        assert re.search(rf"^{name} +{re.escape(value)}", out, re.MULTILINE)


def test_data_is_described_and_drawn(tmp_path: Path, genlab: Genlab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = genlab("data", "digits")
    assert code == 0
    assert re.search(r"total +1797", out)
    assert "[1, 32, 32]" in out
    assert pixels(tmp_path / "data-digits.png").shape == (8 * 34 - 2, 8 * 34 - 2)
    assert genlab("data", "ring8", "--out", tmp_path / "points.png")[0] == 0
    assert pixels(tmp_path / "points.png").shape == (256, 256)


def test_data_with_broken_files_says_which(pictures: Path, tmp_path: Path, genlab: Genlab) -> None:
    code, _, err = genlab("data", pictures, "--out", tmp_path / "a.png")
    assert code == 1
    assert "broken.png" in err
    code, out, _ = genlab("data", pictures, "--out", tmp_path / "a.png", "--max-rejected", 0.5)
    assert code == 0
    assert "broken.png" in out


def test_a_report_is_written_anew(own: Path, genlab: Genlab) -> None:
    folder = own / "vae"
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    (folder / "results.csv").unlink()
    code, out, _ = genlab("report", "vae", "--root", own)
    assert code == 0
    assert out.strip() == str(folder.resolve() / "report.html")
    assert (folder / "report.html").read_text() == before
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "6", "12"]


def test_resuming_a_finished_run_changes_no_result(own: Path, genlab: Genlab) -> None:
    folder = own / "vae"
    kept = ["history.jsonl", "recipe.yaml", "data.yaml", "results.csv", "checkpoints/last/manifest.json"]
    before = {name: (folder / name).read_bytes() for name in kept}
    previews = sorted(path.name for path in (folder / "previews").iterdir())
    events = RunFolder(folder).events()
    code, out, _ = genlab("resume", "vae", "--root", own)
    assert code == 0
    assert "This run was complete. Give --steps" in out
    assert {name: (folder / name).read_bytes() for name in kept} == before
    assert sorted(path.name for path in (folder / "previews").iterdir()) == previews
    assert [event["event"] for event in RunFolder(folder).events()[len(events) :]] == ["resumed", "diagnosis"]


def test_resume_goes_on_to_where_one_run_would_have_come(own: Path, genlab: Genlab) -> None:
    size = ("--width", 4, "--data", "digits", "--size", 16, "--batch", 16, "--latent", 4)
    whole = (*size, "--steps", 20, "--name", "whole", "--evaluate-every", 6, "--generator-lr", 0.05)
    assert genlab("train", "dcgan", *whole, "--root", own)[0] == 0
    assert genlab("resume", "dcgan", "--steps", 20, "--root", own)[0] == 0
    at_once, resumed = load("whole", root=own, checkpoint="last"), load("dcgan", root=own, checkpoint="last")
    for name, tensor in at_once.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    lines = [json.loads(line) for line in (own / "dcgan" / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 20]
    assert RunFolder(own / "dcgan").read_yaml("recipe.yaml")["steps"] == 20


def test_a_checkpoint_in_a_run_is_found_by_its_path(runs: Path, tmp_path: Path) -> None:
    run = runs / "vae"
    for name in ("best", "last"):
        folder = run / "checkpoints" / name
        expected = package.load(run, checkpoint=name).state_dict()
        for place in (folder, folder / "model.safetensors"):
            found = package.load(place).state_dict()
            assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())
    drawn = package.sample(run / "checkpoints" / "last", number=1, out=tmp_path / "a.png")
    assert drawn.path.is_file()


def test_a_place_in_a_run_that_is_not_the_wanted_checkpoint_is_refused(runs: Path) -> None:
    best = runs / "vae" / "checkpoints" / "best"
    with pytest.raises(UsageError, match=r"is in the checkpoint best of the run .*vae, not in last"):
        package.load(best, checkpoint="last")
    for call in (package.info, package.doctor, package.load):
        with pytest.raises(UsageError, match=r"is inside the run .*vae\. Give the run"):
            call(runs / "vae" / "previews")


def test_messages_have_no_marks_of_python(runs: Path, genlab: Genlab) -> None:
    code, out, _ = genlab("info", "vae", "--root", runs)
    assert code == 0
    assert "{" not in out
    assert "[" not in out.replace("fd[", "")
    assert not re.search(r"\d\.\d{8}", out)
