import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genlab as package
from genlab.applications import denoise_files
from genlab.core.errors import GenlabError, UsageError

Genlab = Callable[..., Any]
FAST = {"data": "digits", "size": 16, "width": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("runs")
    return package.train("dncnn", depth=1, steps=120, batch_size=16, lr=0.01, quiet=True, root=root, **FAST)


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    options = {**FAST, "width": 8, "attention": 0, "steps": 2, "timesteps": 20, "sampling_steps": 5}
    return package.train("velocity-diffusion", quiet=True, root=tmp_path_factory.mktemp("runs"), **options)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Clean pictures in `clean`, the same with noise in `noisy`, and one that is none."""
    random = np.random.default_rng(0)
    for number, (name, size) in enumerate({"a": (40, 24), "b": (16, 16), "deep/c": (9, 12)}.items()):
        ramp = np.add.outer(np.linspace(20, 120, size[0]), np.linspace(20, 120, size[1]))
        for folder, picture in (("clean", ramp), ("noisy", ramp + random.normal(0, 25, size))):
            place = tmp_path / folder / f"{name}.{'png' if folder == 'clean' or number else 'bmp'}"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.clip(0, 255).round().astype(np.uint8)).save(place)
    (tmp_path / "noisy" / "none.png").write_text("none")
    return tmp_path


def test_clean_pictures_are_made_noisy_and_measured(run: package.Run, tmp_path: Path) -> None:
    pictures = package.data("digits", size=16).source.held_out.batch(np.arange(40)).x
    done = package.denoise(run, pictures, add_noise=50, out=tmp_path / "out")
    means = done.means
    assert means["noisy_psnr"] == pytest.approx(20 * np.log10(255 / 50), abs=0.2)
    assert means["denoised_psnr"] > means["noisy_psnr"] + 2
    assert means["sigma"] == pytest.approx(50, rel=0.15)
    assert len(done.table.values) == done.count == len(list((tmp_path / "out").iterdir()))
    assert json.loads(json.dumps(done.values()))["denoised_psnr"] == means["denoised_psnr"]


def test_files_keep_their_names_and_sizes_and_find_their_truth(run: package.Run, photos: Path) -> None:
    done = package.denoise(run, photos / "noisy", truth=photos / "clean", out=photos / "out")
    for name, size in {"a.png": (24, 40), "b.png": (16, 16), "deep/c.png": (12, 9)}.items():
        with Image.open(photos / "out" / name) as picture:
            assert picture.size == size
    assert [item.path for item in done.done.rejected] == ["none.png"]
    assert not done.done.unmatched
    assert (done.done.larger, done.done.smaller) == (1, 1)
    assert "denoised in tiles that overlap: 1 picture" in str(done)
    assert not np.isnan(done.table.values[:2]).any()
    assert done.picture is not None


def test_a_truth_that_is_missing_or_of_another_size_is_named(run: package.Run, photos: Path) -> None:
    (photos / "clean" / "b.png").unlink()
    Image.new("L", (5, 5)).save(photos / "clean" / "a.png")
    done = package.denoise(run, photos / "noisy", truth=photos / "clean", out=photos / "out")
    assert {item.path: item.reason for item in done.done.unmatched} == {
        "a.bmp": "its truth has 5x5 pixels, not 24x40",
        "b.png": "there is no picture of this name in --truth",
    }
    assert done.count == 3
    assert "warning: nothing was measured" not in str(done)
    (photos / "clean" / "deep" / "c.png").unlink()
    done = package.denoise(run, photos / "noisy", truth=photos / "clean", out=photos / "out2")
    assert "warning: nothing was measured" in str(done)


def test_without_a_truth_there_are_no_columns_for_measures(run: package.Run, photos: Path) -> None:
    done = package.denoise(run, photos / "noisy", out=photos / "out")
    assert list(done.table.columns) == ["sigma"]
    assert done.means.keys() == {"sigma"}
    assert "the results are grey" in str(done)
    assert "warning" not in str(done)


def test_results_of_other_pictures_are_not_mixed_in_the_run_folder(run: package.Run, photos: Path) -> None:
    done = package.denoise(run, photos / "noisy" / "b.png")
    assert done.path.parent == run.folder / "denoised"
    with pytest.raises(UsageError, match="is not empty"):
        package.denoise(run, photos / "clean" / "b.png")


def test_one_picture_and_its_truth_may_have_different_names(run: package.Run, photos: Path) -> None:
    done = package.denoise(run, photos / "noisy" / "b.png", truth=photos / "clean" / "a.png", out=photos / "out")
    assert done.done.unmatched[0].reason == "its truth has 24x40 pixels, not 16x16"
    done = package.denoise(run, photos / "noisy" / "a.bmp", truth=photos / "clean" / "a.png", out=photos / "out2")
    assert "denoised_psnr" in done.means


def test_a_command_that_was_killed_goes_on(
    run: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (130, 1, 16, 16), np.uint8)
    whole = package.denoise(run, pictures, out=tmp_path / "whole")
    put, written = denoise_files.put, list[Path]()

    def killed(path: Path, data: bytes) -> None:
        if len(written) == 100:
            raise KeyboardInterrupt
        written.append(path)
        put(path, data)

    monkeypatch.setattr(denoise_files, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        package.denoise(run, pictures, out=tmp_path / "out")
    written.clear()
    monkeypatch.setattr(denoise_files, "put", lambda path, data: (written.append(path), put(path, data)))
    done = package.denoise(run, pictures, out=tmp_path / "out")
    assert len(written) == done.count - denoise_files.CHUNK
    assert done.table.names == whole.table.names
    np.testing.assert_allclose(done.table.values, whole.table.values, rtol=1e-4)
    for place in (tmp_path / "whole").iterdir():
        assert place.read_bytes() == (tmp_path / "out" / place.name).read_bytes()
    assert np.array_equal(done.picture, whole.picture), "the first pictures, which were there already"


def test_diffusion_denoises_by_the_mean_or_a_draw(diffusion: package.Run, photos: Path) -> None:
    mean = package.denoise(diffusion, photos / "noisy", sigma=25, out=photos / "mean")
    drawn = package.denoise(diffusion, photos / "noisy", sigma=25, draw=True, out=photos / "drawn")
    assert "on average, as given\n" in str(mean)
    assert drawn.count == 3
    assert (photos / "mean" / "a.png").read_bytes() != (photos / "drawn" / "a.png").read_bytes()


def test_the_command_says_what_it_did(run: package.Run, photos: Path, genlab: Genlab) -> None:
    said = genlab("denoise", run.folder, photos / "noisy", "--out", photos / "out", "--json")
    assert said.code == 0
    values = json.loads(said.out)
    assert values["pictures"] == 3
    assert values["rejected"] == {"none.png": "not an image"}
    again = genlab("denoise", run.folder, photos / "noisy", "--out", photos / "out")
    assert "is not empty" in again.err


def test_what_cannot_be_done_is_refused(run: package.Run, photos: Path, tmp_path: Path) -> None:
    (photos / "mine.png").write_bytes(b"")
    (photos / "file").write_bytes(b"")
    (photos / "empty").mkdir()
    for options, said in (
        ({"sigma": 0}, "--sigma must be above 0"),
        ({"add_noise": 300}, "--add-noise must be above 0 and at most 255"),
        ({"add_noise": 25, "truth": photos / "clean"}, "Leave out --truth"),
        ({"out": photos / "all.png"}, "must be a folder"),
        ({"truth": photos / "nowhere"}, "nowhere"),
        ({"truth": photos / "empty"}, "empty has no pictures"),
        ({"out": photos / "noisy" / "out"}, "lies in .*noisy, which is read"),
        ({"out": photos / "file"}, "file must be"),
        ({"out": photos / "mine"}, "mine.png exists"),
    ):
        with pytest.raises(UsageError, match=said):
            package.denoise(run, photos / "noisy", **{"out": photos / "out", **options})
    with pytest.raises(GenlabError, match="--draw needs a model that can draw denoised examples"):
        package.denoise(run, photos / "noisy", draw=True, out=photos / "out")
    gan = package.train("gan", steps=1, quiet=True, root=tmp_path / "runs", **FAST)
    with pytest.raises(GenlabError, match=r"genlab denoise needs a model that can denoise.*dncnn"):
        package.denoise(gan, photos / "noisy", out=photos / "out")


def test_a_method_that_is_worse_than_the_baseline_says_so(
    run: package.Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoise_files, "non_local_means", lambda noisy: None)
    done = package.denoise(run, photos / "clean", truth=photos / "clean", out=photos / "out")
    assert "warning: the noisy pictures are better than the model by" in str(done)
    assert "which needs scikit-image" in str(done)
